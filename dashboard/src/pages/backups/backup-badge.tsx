import { IconAlertTriangle, IconArchive, IconCircleX, IconClockX, IconLoader2, IconShieldCheck } from "@tabler/icons-react";
import type { Backup, BackupState } from "@/api/documents";
import { Badge } from "@/ui/status-badge";

type Look = readonly [tone: "blue" | "green" | "yellow" | "orange" | "red" | "violet" | "gray", icon: typeof IconArchive, word: string];

const STATES: Record<BackupState, Look> = {
  exporting: ["blue", IconLoader2, "being made"],
  verified: ["green", IconShieldCheck, "verified"],
  deleting: ["blue", IconLoader2, "deleting its source"],
  deleted: ["violet", IconArchive, "source deleted"],
  failed: ["red", IconCircleX, "failed"],
  expired: ["gray", IconClockX, "gone"],
};

/** Of the filter: what a person picks, and what the API takes. */
export const STATE_WORDS = [...Object.entries(STATES).map(([value, look]) => ({ value, label: look[2] })), { value: "interrupted", label: "cut off" }];

export function BackupBadge({ backup }: { backup: Backup }) {
  const [tone, icon, word] = backup.is_interrupted ? (["orange", IconAlertTriangle, "cut off"] as const) : STATES[backup.state];
  return (
    <Badge tone={tone} icon={icon} title={backup.word}>
      {word}
    </Badge>
  );
}

export const isWhole = ({ state }: Backup): boolean => state === "verified" || state === "deleting" || state === "deleted";
