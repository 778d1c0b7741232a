import { Button, Checkbox, Menu, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconArrowsDiff, IconDownload, IconPin, IconPinned, IconStack } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { api, API } from "@/api/client";
import type { Checkpoint, RunDetail } from "@/api/model";
import { usePaged } from "@/api/paged";
import { checkpointsKey } from "@/api/run";
import { formatPercent, formatSize } from "@/format/number";
import { useMay } from "@/session/session";
import { DataTable } from "@/ui/data-table";
import { More } from "@/ui/more";
import { notifyError } from "@/ui/notify";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import classes from "./run.module.css";

const DiffDialog = lazy(() => import("./diff-dialog"));

export default function CheckpointsTab({ run }: { run: RunDetail }) {
  const [tag, setTag] = useState("");
  const [asked] = useDebouncedValue(tag.trim(), 300);
  const list = usePaged<Checkpoint>(checkpointsKey(run.id), `/runs/${run.id}/checkpoints`, "checkpoints", { tag: asked, limit: 50 });
  const [chosen, setChosen] = useState<readonly Checkpoint[]>([]);
  const [diff, setDiff] = useState(false);
  const choose = (one: Checkpoint) =>
    setChosen(chosen.some(({ id }) => id === one.id) ? chosen.filter(({ id }) => id !== one.id) : [...chosen.slice(-1), one]);
  const [older, newer] = [...chosen].sort((a, b) => a.sequence - b.sequence);
  return (
    <div className={classes.panel}>
      <div className={classes.bar}>
        <TextInput size="xs" aria-label="Only with this tag" placeholder="Only with this tag" value={tag} onChange={(event) => setTag(event.currentTarget.value)} />
        {run.may_touch && (
          <Button size="xs" variant="default" leftSection={<IconArrowsDiff size={15} aria-hidden />} disabled={!newer} onClick={() => setDiff(true)}>
            {newer ? `Compare ${older?.sequence} with ${newer.sequence}` : "Choose two to compare"}
          </Button>
        )}
      </div>
      {list.isPending && <Skeleton rows={5} label="Loading checkpoints" />}
      {list.isError && list.rows.length === 0 && <ErrorState error={list.error} again={() => void list.refetch()} />}
      {list.isSuccess && list.rows.length === 0 && (
        <Empty icon={IconStack} title={asked ? "No checkpoint has this tag" : "No checkpoint yet"}>
          {!asked && "A job that keeps a state leaves one at each cut."}
        </Empty>
      )}
      {list.rows.length > 0 && <CheckpointTable rows={list.rows} run={run} chosen={chosen} choose={choose} />}
      {list.isSuccess && <More shown={list.rows.length} hasMore={list.hasNextPage} isLoading={list.isFetchingNextPage} then={() => void list.fetchNextPage()} noun="checkpoints" />}
      {diff && older && newer && (
        <Suspense>
          <DiffDialog older={older} newer={newer} close={() => setDiff(false)} />
        </Suspense>
      )}
    </div>
  );
}

function CheckpointTable(props: { rows: readonly Checkpoint[]; run: RunDetail; chosen: readonly Checkpoint[]; choose: (one: Checkpoint) => void }) {
  const { rows, run, chosen, choose } = props;
  const mayAct = useMay("operator") && run.may_touch;
  return (
    <DataTable
      caption="Checkpoints"
      dense
      rows={rows}
      rowKey={(one) => one.id}
      columns={[
        ...(run.may_touch
          ? [{
              name: "compare",
              title: "",
              cell: (one: Checkpoint) => (
                <Checkbox size="xs" aria-label={`Compare ${one.sequence}`} checked={chosen.some(({ id }) => id === one.id)} onChange={() => choose(one)} />
              ),
            }]
          : []),
        { name: "sequence", title: "Commit", numeric: true, cell: (one) => <span title={one.id}>{one.sequence}</span> },
        { name: "kind", title: "What", lead: true, cell: (one) => <What one={one} /> },
        { name: "raw", title: "Size", numeric: true, cell: (one) => formatSize(one.raw_bytes) },
        { name: "new", title: "Newly stored", numeric: true, cell: (one) => formatSize(one.new_bytes) },
        { name: "saved", title: "Saved", numeric: true, cell: (one) => savedOf(one) },
        { name: "created", title: "Taken", cell: (one) => <Ago at={one.created} /> },
        ...(run.may_touch ? [{ name: "acts", title: "", cell: (one: Checkpoint) => <Acts one={one} mayAct={mayAct} /> }] : []),
      ]}
    />
  );
}

/** By what was stored before already, and by compression. */
function savedOf({ raw_bytes, new_bytes }: Checkpoint): string {
  return raw_bytes === 0 || new_bytes > raw_bytes ? "–" : formatPercent(100 * (1 - new_bytes / raw_bytes));
}

function What({ one }: { one: Checkpoint }) {
  return (
    <>
      <span>{one.kind}</span> {one.status !== "valid" && <Badge tone={one.damage ? "red" : "gray"}>{one.status}</Badge>}
      {one.pinned && (
        <Badge tone="blue" icon={IconPinned}>
          pinned
        </Badge>
      )}
      {one.tags.map((tag) => (
        <span key={tag} className={classes.tag}>
          {tag}
        </span>
      ))}
      <div className={classes.dim}>
        {[one.description, one.iteration !== null && `iteration ${one.iteration}`, one.reason && `taken for ${one.reason}`, one.damage].filter(Boolean).join(" · ")}
      </div>
    </>
  );
}

function Acts({ one, mayAct }: { one: Checkpoint; mayAct: boolean }) {
  const client = useQueryClient();
  const pin = useMutation({
    mutationFn: () => api.post(`/checkpoints/${one.id}/${one.pinned ? "unpin" : "pin"}`),
    onSuccess: () => client.invalidateQueries({ queryKey: checkpointsKey(one.run) }),
    onError: (error) => notifyError("Nothing was changed", error),
  });
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button size="compact-xs" variant="subtle" color="gray" aria-label={`What to do with ${one.sequence}`}>
          …
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {mayAct && (
          <Menu.Item leftSection={<IconPin size={15} aria-hidden />} onClick={() => pin.mutate()}>
            {one.pinned ? "Unpin: policies may remove it" : "Pin: keep it whatever policies say"}
          </Menu.Item>
        )}
        <Menu.Label>Download</Menu.Label>
        {["json", "npz", "safetensors"].map((format) => (
          <Menu.Item key={format} component="a" href={`${API}/checkpoints/${one.id}/export?format=${format}`} download leftSection={<IconDownload size={15} aria-hidden />}>
            as {format}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
