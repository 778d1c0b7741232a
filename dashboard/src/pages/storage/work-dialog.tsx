import { Alert, Button, Group, Modal, Select, Stack, Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useCountAnew } from "@/api/care";
import { api } from "@/api/client";
import { isOver, useJobAct } from "@/api/job";
import type { Job } from "@/api/model";
import { JobProgress } from "@/ui/job-progress";
import { messageOf, Skeleton } from "@/ui/states";
import { Report } from "./report";
import classes from "./storage.module.css";
import { type Work, WORKS } from "./works";

const READS = [
  { value: "", label: "As much as the settings say" },
  { value: "all", label: "Everything" },
  { value: "10%", label: "A tenth: what was verified longest ago" },
];

/** First what it would do, then does it. Closing the dialog stops nothing. */
export function WorkDialog({ work, opened, onClose }: { work: Work; opened: boolean; onClose: () => void }) {
  const isPhone = useMediaQuery("(max-width: 48em)") ?? false;
  return (
    <Modal opened={opened} onClose={onClose} title={WORKS[work].title} size="xl" fullScreen={isPhone}>
      {opened && <Flow work={work} onClose={onClose} />}
    </Modal>
  );
}

function Flow({ work, onClose }: { work: Work; onClose: () => void }) {
  const words = WORKS[work];
  const [reads, setReads] = useState("");
  const act = useJobAct<undefined>(work, null, () => api.post<Job>(`/${work}`, work === "verify" ? { read_data: reads || null } : { dry_run: false }));
  const begun = act.isBusy || act.job !== undefined;
  const would = useQuery({
    queryKey: ["dry-run", work],
    enabled: work !== "verify" && !begun,
    staleTime: 0,
    gcTime: 0,
    retry: false,
    queryFn: () => api.post<Record<string, unknown>>(`/${work}`, { dry_run: true }),
  });
  const countAnew = useCountAnew();
  const over = isOver(act.job);
  useEffect(() => {
    if (over) countAnew();
  }, [over]);

  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed">{words.what}</Text>
      {act.isBusy ? (
        <JobProgress job={act.job} doing={words.doing} />
      ) : act.error != null ? (
        <Alert role="alert" color="red" title={words.failed}>
          {messageOf(act.error)}
        </Alert>
      ) : act.job?.state === "done" ? (
        <div role="status" className={classes.report}>
          <Report work={work} report={act.job.result} isDone />
        </div>
      ) : work === "verify" ? (
        <Select label="How much is read" data={READS} value={reads} onChange={(value) => setReads(value ?? "")} allowDeselect={false} />
      ) : would.data ? (
        <div role="status" className={classes.report}>
          <Report work={work} report={would.data} isDone={false} />
        </div>
      ) : would.isError ? (
        <Alert role="alert" color="red" title="It could not be tried out">
          {messageOf(would.error)}
        </Alert>
      ) : (
        <Skeleton rows={4} label={words.trying} />
      )}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          {act.isBusy ? "Close, and let it go on" : "Close"}
        </Button>
        {!act.isBusy && act.job?.state !== "done" && (
          <Button onClick={() => act.start(undefined)} disabled={work !== "verify" && !would.data}>
            {words.act}
          </Button>
        )}
      </Group>
    </Stack>
  );
}
