import {
  IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconCircleX, IconGhost2, IconPlayerPause, IconPlayerPlay, IconTrash,
} from "@tabler/icons-react";
import { memo } from "react";
import type { RunStatus } from "@/api/model";
import classes from "./status-badge.module.css";

type Tone = "blue" | "green" | "yellow" | "orange" | "red" | "violet" | "gray";
type Icon = typeof IconTrash;

/** By text and shape, not by colour alone. */
const STATUSES: Record<RunStatus, [Tone, Icon, string]> = {
  running: ["blue", IconPlayerPlay, "A process works on it now."],
  completed: ["green", IconCircleCheck, "All of it is done."],
  partial: ["yellow", IconAlertTriangle, "It went to its end, and some items failed."],
  interrupted: ["orange", IconPlayerPause, "It was stopped; it goes on from where it was."],
  failed: ["red", IconCircleX, "It ended by an error; it can go on from where it was."],
  orphaned: ["violet", IconGhost2, "Its process is gone without a word; it can go on from where it was."],
  discarded: ["gray", IconTrash, "Somebody decided that it will not go on."],
};

export const statusMeaning = (status: RunStatus): string => STATUSES[status]?.[2] ?? "";

export const StatusBadge = memo(function StatusBadge({ status }: { status: RunStatus }) {
  const [tone, Icon, meaning] = STATUSES[status] ?? ["gray", IconCircleDashed, ""];
  return (
    <Badge tone={tone} icon={Icon} title={meaning}>
      {status}
    </Badge>
  );
});

/** A word with a shape and a colour, for any state of anything. */
export function Badge(props: { tone: Tone; icon?: Icon; title?: string; children: React.ReactNode }) {
  const { tone, icon: Icon, title, children } = props;
  return (
    <span className={classes.badge} data-tone={tone} title={title}>
      {Icon && <Icon size={13} stroke={2.2} aria-hidden />}
      {children}
    </span>
  );
}
