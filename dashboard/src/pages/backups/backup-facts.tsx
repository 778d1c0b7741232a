import { IconPin } from "@tabler/icons-react";
import type { Backup } from "@/api/documents";
import { formatCount, formatSize } from "@/format/number";
import { Facts } from "@/ui/facts";
import { Ago, At } from "@/ui/time";
import { isWhole } from "./backup-badge";

export function BackupFacts({ backup }: { backup: Backup }) {
  return (
    <Facts
      facts={[
        ["Of", `${backup.label} (${backup.kind})`],
        isWhole(backup) && ["Holds", `${formatCount(backup.records)} ${backup.records === 1 ? "record" : "records"}, ${formatSize(backup.size)}`],
        isWhole(backup) && ["Takes", `${formatSize(backup.stored)} more of the store than before`],
        ["Made", <When key="created" at={backup.created} />],
        ["By", backup.owner],
        ["Read back", backup.verified === null ? "not yet" : <When key="verified" at={backup.verified} />],
        backup.deleted !== null && ["Source deleted", <When key="deleted" at={backup.deleted} />],
        (isWhole(backup) || backup.state === "expired") && ["Stays until", <Expiry key="expires" backup={backup} />],
        backup.digest !== null && ["SHA-256 of its sums", <span key="digest" className="mono">{backup.digest}</span>],
        ["Id", <span key="id" className="mono">{backup.id}</span>],
      ]}
    />
  );
}

export function Expiry({ backup }: { backup: Backup }) {
  if (backup.state === "expired") return <>gone</>;
  if (backup.pinned)
    return (
      <>
        <IconPin size={14} aria-hidden /> pinned: it stays
      </>
    );
  return backup.expires === null ? <>for ever</> : <When at={backup.expires} />;
}

function When({ at }: { at: number }) {
  return (
    <>
      <At at={at} /> (<Ago at={at} />)
    </>
  );
}
