import { Alert, Button, Checkbox, Group, Modal, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { useAct } from "@/api/acts";
import { resumeLine, titleOf } from "@/api/run-words";
import { api } from "@/api/client";
import type { Run, RunDetail, RunPage, Session } from "@/api/model";
import { Problem } from "@/api/problem";
import { formatCount, plural } from "@/format/number";
import { covers, useSession } from "@/session/session";
import { AskTwice } from "@/ui/ask-twice";
import { Command } from "@/ui/command";
import { ProgressBar, textOf } from "@/ui/progress-bar";
import { StatusBadge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import { hide, isHidden } from "./hidden-runs";
import { INCOMPLETE } from "./filters";
import classes from "./incomplete.module.css";

const MOST = 20;

/** On load: what was begun and is not done, to go on with or to give up. */
export default function IncompleteDialog() {
  const session = useSession();
  const [closed, setClosed] = useState(() => wasClosed);
  const [forget, setForget] = useState(false);
  // What was incomplete when it was opened stays in the list, with how it stands now: nothing jumps away under the pointer.
  const [opened, setOpened] = useState<readonly string[] | null>(null);
  const list = useQuery({
    queryKey: ["runs", "list", "sort=updated&order=asc", "incomplete"], // ascending: events put no run on top of it
    queryFn: () => readIncomplete(opened ?? []),
    staleTime: Infinity,
  });
  const runs = list.data?.runs ?? [];
  const asked = runs.filter((run) => isAskedOf(run, session) && !isHidden(run));
  if (list.data && opened === null) setOpened(asked.map((run) => run.id));
  const shown = (opened ?? []).flatMap((id) => runs.find((run) => run.id === id) ?? []);
  if (closed || shown.length === 0) return null;
  const close = () => {
    if (forget) hide(shown);
    wasClosed = true;
    setClosed(true);
  };
  return (
    <Modal opened onClose={close} size="xl" title={<b>{titleText(shown.length, Boolean(list.data?.next))}</b>}>
      <Text c="dimmed" size="sm" mb="md">
        They go on from where they are: nothing that was done is done again.
      </Text>
      {!session.allow_launch && covers(session.account.role, "operator") && (
        <Alert color="cairn" mb="md">
          This server starts no jobs (it was started without <code>--allow-launch</code>). The line of each run goes on with it in a shell.
        </Alert>
      )}
      <ul className={classes.list}>
        {shown.map((run) => (
          <IncompleteRun key={run.id} run={run} session={session} />
        ))}
      </ul>
      <Group justify="space-between" mt="md">
        <Checkbox label="Don't show again for these, unless they change" checked={forget} onChange={(event) => setForget(event.currentTarget.checked)} />
        <Button variant="default" onClick={close} data-autofocus>
          Not now
        </Button>
      </Group>
    </Modal>
  );
}

/** And how those stand that were incomplete before. */
async function readIncomplete(before: readonly string[]): Promise<RunPage> {
  const page = await api.get<RunPage>("/runs", { status: INCOMPLETE, sort: "updated", limit: MOST });
  const others = before.filter((id) => page.runs.every((run) => run.id !== id));
  const found = await Promise.all(others.map((id) => api.get<RunDetail>(`/runs/${id}`).catch(nothingIfGone)));
  return { ...page, runs: [...page.runs, ...found.filter((run) => run !== null)] };
}

function nothingIfGone(error: unknown): null {
  if (error instanceof Problem && error.status === 404) return null;
  throw error;
}

/** Until the page is loaded anew. */
let wasClosed = false;

const isAskedOf = (run: Run, { account }: Session): boolean => account.role !== "operator" || run.account === account.name;

const titleText = (many: number, more: boolean): string =>
  more ? `The ${formatCount(many)} newest runs that are not complete` : `${plural(many, "run")} ${many === 1 ? "is" : "are"} not complete`;

function IncompleteRun({ run, session }: { run: Run; session: Session }) {
  const act = useAct();
  const { role, name } = session.account;
  const mayAct = role === "admin" || (role === "operator" && run.account === name);
  const stands = (INCOMPLETE as readonly string[]).includes(run.status);
  return (
    <li className={classes.run} data-run={run.id}>
      <div className={classes.what}>
        <Link to={`/runs/${run.id}`} className={classes.name}>
          {titleOf(run)}
        </Link>
        <StatusBadge status={run.status} />
        <Text size="xs" c="dimmed" component="span">
          last update <Ago at={run.updated} />
        </Text>
      </div>
      <ProgressBar progress={run.progress} moving={run.status === "running"} />
      <Text size="xs" c="dimmed">
        {textOf(run.progress)}
        {run.error && ` · ${run.error.type}: ${run.error.message}`}
      </Text>
      {stands && mayAct && (
        <Group gap="xs">
          {session.allow_launch && (
            <Button size="xs" disabled={!run.resumable} title={run.resumable ? undefined : "The command that started it is not recorded."} loading={act.isPending && act.variables.act !== "discard"} onClick={() => act.mutate({ run, act: "resume" })}>
              Resume
            </Button>
          )}
          <AskTwice
            size="xs"
            label="Discard"
            pending={act.isPending && act.variables.act === "discard"}
            first={`Give ${titleOf(run)} up? It will not go on from where it is (${textOf(run.progress)}).`}
            second={`Asked once more: ${titleOf(run)} will not go on. What it has done stays to be looked at.`}
            last="Discard for good"
            onYes={() => act.mutate({ run, act: "discard" })}
          />
        </Group>
      )}
      {stands && (!session.allow_launch || !run.resumable || !mayAct) && <Command line={resumeLine(run, session.store.url)} />}
    </li>
  );
}
