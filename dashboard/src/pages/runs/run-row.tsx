import { memo, type MouseEvent } from "react";
import { Link } from "react-router";
import type { Run } from "@/api/model";
import { titleOf } from "@/api/run-words";
import { formatCount, formatPercent, formatRate } from "@/format/number";
import { formatEta } from "@/format/time";
import { ProgressBar } from "@/ui/progress-bar";
import { StatusBadge } from "@/ui/status-badge";
import table from "@/ui/table.module.css";
import { Ago } from "@/ui/time";
import classes from "./runs.module.css";

interface RowProps {
  run: Run;
  selected: boolean;
  selectable: boolean;
  choose: (id: string, range: boolean) => void;
}

/** Renders when its run is another object, and only then: of fifty rows those that changed. Of a row that changes each second
 * only the numbers do: what else stands in it are parts that render by their words. */
export const RunRow = memo(function RunRow({ run, selected, selectable, choose }: RowProps) {
  const running = run.status === "running";
  return (
    <tr className={classes.row} data-selected={selected || undefined} data-run={run.id}>
      {selectable && <Chooser id={run.id} title={titleOf(run)} selected={selected} choose={choose} />}
      <Name id={run.id} name={run.name} keyText={run.key} tags={run.tags.join("\n")} />
      <td className={classes.status}>
        <StatusBadge status={run.status} />
      </td>
      <td className={classes.progress}>
        <ProgressBar progress={run.progress} moving={running} />
        <Numbers run={run} />
      </td>
      <td className={table.number} data-wide>
        {run.rate === null || !running ? <None /> : formatRate(run.rate)}
      </td>
      <td className={table.number} data-wide>
        {run.eta === null || !running ? <None /> : formatEta(run.eta)}
      </td>
      <Owner account={run.account} owner={run.owner?.alive ? `pid ${run.owner.pid} on ${run.owner.host}` : null} />
      <td className={`${table.small} ${classes.time}`} data-wide="3">
        <Ago at={run.created} />
      </td>
      <td className={`${table.small} ${classes.time}`}>
        <Ago at={run.updated} />
      </td>
    </tr>
  );
});

const None = () => <span className={table.small}>–</span>;

const Chooser = memo(function Chooser(props: { id: string; title: string; selected: boolean; choose: RowProps["choose"] }) {
  const { id, title, selected, choose } = props;
  // A click, as only that says whether Shift was held; the browser makes one of the space bar, too.
  const click = (event: MouseEvent) => choose(id, event.shiftKey);
  return (
    <td className={classes.check} data-wide>
      <input type="checkbox" className={classes.box} checked={selected} aria-label={`Choose ${title}`} onChange={ignore} onClick={click} />
    </td>
  );
});

const ignore = () => undefined;

const Name = memo(function Name({ id, name, keyText, tags }: { id: string; name: string; keyText: string | null; tags: string }) {
  return (
    <td className={classes.name}>
      <Link className={classes.link} to={`/runs/${id}`}>
        {name}
      </Link>
      {(keyText !== null || tags !== "") && (
        <div className={`${table.small} ${table.clip}`}>
          {keyText}
          {tags !== "" &&
            tags.split("\n").map((tag) => (
              <span key={tag} className={classes.tag}>
                {tag}
              </span>
            ))}
        </div>
      )}
    </td>
  );
});

function Numbers({ run: { progress } }: { run: Run }) {
  const { done, failed, total, percent, note } = progress;
  return (
    <div className={`${table.small} ${classes.numbers}`} title={note ?? undefined}>
      <span className={table.clip}>
        {formatCount(done)}
        {total !== null && ` / ${formatCount(total)}`}
        {failed > 0 && <span className={classes.bad}> · {formatCount(failed)} failed</span>}
        {note && ` · ${note}`}
      </span>
      {percent !== null && <span>{formatPercent(percent)}</span>}
    </div>
  );
}

const Owner = memo(function Owner({ account, owner }: { account: string | null; owner: string | null }) {
  return (
    <td data-wide="2">
      <div className={table.clip}>{account ?? <None />}</div>
      {owner !== null && <div className={`${table.small} ${table.clip}`}>{owner}</div>}
    </td>
  );
});
