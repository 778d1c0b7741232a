import { IconEye, IconKey, IconTool } from "@tabler/icons-react";
import type { Role } from "@/api/model";
import { Badge } from "@/ui/status-badge";

const LOOKS = { viewer: ["gray", IconEye], operator: ["blue", IconTool], admin: ["violet", IconKey] } as const;

export function RoleBadge({ role }: { role: Role }) {
  const [tone, icon] = LOOKS[role];
  return (
    <Badge tone={tone} icon={icon}>
      {role}
    </Badge>
  );
}
