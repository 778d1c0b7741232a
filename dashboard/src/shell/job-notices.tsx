import { useQueryClient } from "@tanstack/react-query";
import type { Job } from "@/api/model";
import { isFollowed } from "@/live/followed";
import { useLive } from "@/live/use-live";
import { useSession } from "@/session/session";
import { notify } from "@/ui/notify";

const DONE: Record<string, readonly [done: string, failed: string, more?: string]> = {
  "backup.create": ["A backup is ready", "A backup failed; nothing was deleted", "It was read back and is intact. Its page deletes its source, where that is wanted."],
  "backup.delete": ["The source of a backup was deleted", "A delete did not go through"],
  "backup.restore": ["A backup was restored", "A backup was not restored"],
  "backup.verify": ["A backup was read back: it is intact", "A backup is not intact, or could not be read"],
  sweep: ["The sweep is done", "The sweep did not go through"],
  optimize: ["The store is optimized", "The store was not optimized to the end"],
  verify: ["The store is verified", "The store was not verified to the end"],
  repair: ["The repair is done", "The repair did not go through"],
  "stream.process": ["A stream was processed", "A stream was not processed to the end"],
};

/** A short job may end before the dialog that began it has heard of its id. */
const PAUSE = 1200;

/** The end of one's own jobs, told on whatever page one is by then; unless a dialog shows it anyway. */
export function JobNotices() {
  const client = useQueryClient();
  const { name } = useSession().account;
  useLive<Job>("job", (job) => {
    if (job.owner !== name || (job.state !== "done" && job.state !== "failed")) return;
    void client.invalidateQueries({ queryKey: ["jobs"] });
    setTimeout(() => isFollowed(job.id) || tell(job), PAUSE);
  });
  return null;
}

function tell(job: Job): void {
  const [done, failed, more] = DONE[job.kind] ?? ["A job is done", "A job failed"];
  if (job.state === "done") notify({ title: done, tone: "good", ...(more && { message: more }) });
  else notify({ title: failed, tone: "bad", stays: true, message: job.error?.detail ?? "The server said no more." });
}
