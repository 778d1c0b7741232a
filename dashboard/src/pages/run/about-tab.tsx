import type { RunDetail } from "@/api/model";
import { resumeLine } from "@/api/run-words";
import { formatCount, formatSize } from "@/format/number";
import { useSession } from "@/session/session";
import { Command } from "@/ui/command";
import { Facts } from "@/ui/facts";
import classes from "./run.module.css";

/** What its row says of it. */
export default function AboutTab({ run }: { run: RunDetail }) {
  const { store } = useSession();
  const metadata = Object.entries(run.metadata);
  return (
    <div className={classes.panel}>
      <Facts
        facts={[
          ["Id", <span className="mono">{run.id}</span>],
          run.task !== null && ["Task", run.task],
          run.origin !== null && ["Forked from", <span className="mono">{run.origin}</span>],
          ["Epoch", `${formatCount(run.epoch)}: grows with each takeover`],
          ["Commits", formatCount(run.sequence)],
          ["Remembered steps", formatCount(run.steps)],
          ...Object.entries(run.loops).map(([loop, done]) => [`Loop ${loop}`, `${formatCount(done)} done`] as const),
          run.waiting.length > 0 && ["Waiting", run.waiting.join(", ")],
          ...metadata.map(([name, value]) => [name, <span className={classes.value}>{JSON.stringify(value)}</span>] as const),
          run.fingerprint !== null && ["Fingerprint", <Fold text={JSON.stringify(run.fingerprint, null, 2)} />],
          run.launch !== null && ["Started by", <span className={classes.value}>{`cd ${run.launch.directory} && ${run.launch.argv.join(" ")}`}</span>],
          ["In a shell", <Command line={resumeLine(run, store.url)} />],
          ...(run.outputs ?? []).map((output) => [`Output ${output.path}`, `${formatSize(output.length)} committed`] as const),
        ]}
      />
    </div>
  );
}

function Fold({ text }: { text: string }) {
  return (
    <details className={classes.fold}>
      <summary>what it was begun with</summary>
      <pre className={classes.trace} tabIndex={0} aria-label="Fingerprint">
        {text}
      </pre>
    </details>
  );
}
