import { Anchor, Button, CloseButton, Group, Modal, Text } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { actOnMany, type BulkAsk } from "@/api/acts";
import type { ActOutcome, Run } from "@/api/model";
import { titleOf } from "@/api/run-words";
import { plural } from "@/format/number";
import { useSession } from "@/session/session";
import { AskTwice } from "@/ui/ask-twice";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { bulkFilterOf } from "./filters";
import classes from "./bulk.module.css";
import runs from "./runs.module.css";
import type { Choice } from "./runs-table";

const DeleteWithBackup = lazy(() => import("../delete/delete-with-backup"));

type Act = BulkAsk["act"];
/** As the API takes them. */
const MOST_DELETED = 200;

const WORDS: Record<Act, { label: string; question: string; done: string }> = {
  resume: { label: "Resume", question: "would be resumed", done: "started" },
  retry: { label: "Retry failed", question: "would try their failed items again", done: "started" },
  cancel: { label: "Cancel", question: "would be asked to stop", done: "asked to stop" },
  discard: { label: "Discard", question: "would be discarded", done: "discarded" },
};

/** What can be done with the runs that are chosen: it is tried without doing it first, and shown run by run. */
export default function BulkActs(props: { runs: readonly Run[]; choice: Choice & { clear: () => void }; search: URLSearchParams; more: boolean }) {
  const { choice, search, more } = props;
  const titles = new Map(props.runs.map((run) => [run.id, titleOf(run)]));
  const { allow_launch } = useSession();
  const [act, setAct] = useState<Act | null>(null);
  const [all, setAll] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const target = all ? { filter: bulkFilterOf(search) } : { runs: [...choice.chosen] };
  const closeDelete = (deleted: boolean) => {
    setDeleting(false);
    if (deleted) clear();
  };
  const clear = () => {
    setAll(false);
    choice.clear();
  };
  return (
    <div className={runs.acts} role="region" aria-label="What to do with the chosen runs">
      <Text fw={600}>{all ? "All that match the filters" : `${plural(choice.chosen.size, "run")} chosen`}</Text>
      {more && !all && (
        <Anchor component="button" type="button" size="sm" onClick={() => setAll(true)}>
          all that match the filters
        </Anchor>
      )}
      {(Object.keys(WORDS) as Act[]).map((one) => (
        <Button
          key={one}
          size="xs"
          variant="default"
          disabled={!allow_launch && (one === "resume" || one === "retry")}
          title={!allow_launch && (one === "resume" || one === "retry") ? "The server was started without --allow-launch." : undefined}
          onClick={() => setAct(one)}
        >
          {WORDS[one].label}…
        </Button>
      ))}
      {!all && (
        <Button size="xs" variant="default" disabled={choice.chosen.size > MOST_DELETED} title={choice.chosen.size > MOST_DELETED ? `At most ${MOST_DELETED} at once.` : undefined} onClick={() => setDeleting(true)}>
          Back up and delete…
        </Button>
      )}
      <CloseButton aria-label="Choose none" onClick={clear} />
      {deleting && (
        <Suspense>
          <DeleteWithBackup opened source={{ kind: "runs", runs: [...choice.chosen] }} onClose={closeDelete} />
        </Suspense>
      )}
      {act && <BulkDialog act={act} target={target} titles={titles} close={() => setAct(null)} />}
    </div>
  );
}

function BulkDialog(props: { act: Act; target: Pick<BulkAsk, "runs" | "filter">; titles: ReadonlyMap<string, string>; close: () => void }) {
  const { act, target, titles, close } = props;
  const trial = useQuery({
    queryKey: ["trial", act, target],
    queryFn: () => actOnMany({ act, ...target, dry_run: true }),
    staleTime: Infinity, // it is of the moment of asking, and the deed says again what it did
    gcTime: 0,
  });
  const deed = useMutation({ mutationFn: (ids: string[]) => actOnMany({ act, runs: ids, dry_run: false }) });
  const words = WORDS[act];
  const shown = deed.data?.outcomes ?? trial.data?.outcomes;
  const would = trial.data?.outcomes.filter((one) => one.outcome === "would") ?? [];
  const error = deed.error ?? trial.error;
  const go = () => deed.mutate(would.map((one) => one.run));
  return (
    <Modal opened onClose={close} title={`${words.label}: ${deed.data ? "what was done" : "what would be done"}`} size="lg">
      {error && <ErrorState error={error} />}
      {!shown && !error && <Skeleton rows={3} label="Trying it without doing it" />}
      {shown && (
        <>
          <Text role="status" mb="sm">
            {deed.data ? summaryOf(deed.data.outcomes, words.done) : `${plural(would.length, "run")} ${words.question}.`}
          </Text>
          <Outcomes outcomes={shown} titles={titles} />
        </>
      )}
      <Group justify="flex-end" mt="md">
        {deed.data || !shown ? (
          <Button variant="default" onClick={close}>
            Close
          </Button>
        ) : act === "discard" ? (
          <AskTwice
            label={`Discard ${plural(would.length, "run")}`}
            disabled={would.length === 0}
            pending={deed.isPending}
            first="What they have done stays to be looked at, and they will not go on from there."
            second={`Asked once more: ${plural(would.length, "run")} will not go on.`}
            last="Discard for good"
            onYes={go}
          />
        ) : (
          <Button disabled={would.length === 0} loading={deed.isPending} onClick={go} data-autofocus>
            {words.label} {plural(would.length, "run")}
          </Button>
        )}
      </Group>
    </Modal>
  );
}

function summaryOf(outcomes: readonly ActOutcome[], done: string): string {
  const many = outcomes.filter((one) => one.outcome === "done").length;
  const refused = outcomes.length - many;
  return `${plural(many, "run")} ${done}${refused ? `, ${refused} refused` : ""}.`;
}

const TONES = { would: "blue", done: "green", refused: "orange" } as const;

function Outcomes({ outcomes, titles }: { outcomes: readonly ActOutcome[]; titles: ReadonlyMap<string, string> }) {
  return (
    <ul className={classes.outcomes}>
      {outcomes.map((one) => (
        <li key={one.run}>
          <Badge tone={TONES[one.outcome]}>{one.outcome}</Badge>
          <span>
            <b>{titles.get(one.run) ?? one.name ?? one.run}</b>
            {one.detail && <span className={classes.detail}> {one.detail}</span>}
          </span>
        </li>
      ))}
    </ul>
  );
}
