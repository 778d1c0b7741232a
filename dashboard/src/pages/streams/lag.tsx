import type { Stream } from "@/api/documents";
import { formatSize, plural } from "@/format/number";
import { formatDuration } from "@/format/time";

/** What is in the files and was not consumed yet. */
export function Lag({ stream: { behind } }: { stream: Stream }) {
  if (behind === null) return <>not known</>;
  if (behind.bytes === 0) return <>up to date</>;
  return (
    <>
      {formatSize(behind.bytes)} in {plural(behind.files, "file")}
      {behind.seconds > 0 && `, the oldest for ${formatDuration(behind.seconds)}`}
    </>
  );
}
