import { Button, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconWind } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/api/client";
import type { PruneReport } from "@/api/documents";
import { plural } from "@/format/number";
import { useMay } from "@/session/session";
import { Confirm } from "@/ui/confirm";
import { notify } from "@/ui/notify";
import { Skeleton } from "@/ui/states";

/** Of admins: let go of what is over. Upkeep does so by itself, so nobody has to. */
export function PruneButton() {
  const [opened, { open, close }] = useDisclosure(false);
  if (!useMay("admin")) return null;
  return (
    <>
      <Button variant="default" leftSection={<IconWind size={16} aria-hidden />} onClick={open}>
        Let go of expired ones…
      </Button>
      {opened && <Prune onClose={close} />}
    </>
  );
}

function Prune({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const would = useQuery({ queryKey: ["prune"], staleTime: 0, gcTime: 0, queryFn: () => api.post<PruneReport>("/backups/prune", { dry_run: true }) });
  const act = useMutation({
    mutationFn: () => api.post<PruneReport>("/backups/prune", { dry_run: false }),
    onError: () => {},
    onSuccess: ({ expired, interrupted }) => {
      notify({ title: `${plural(expired + interrupted, "backup")} let go`, message: "The next sweep gives back the bytes.", tone: "good" });
      void client.invalidateQueries({ queryKey: ["backups"] });
      onClose();
    },
  });
  const many = would.data ? would.data.expired + would.data.interrupted : 0;
  return (
    <Confirm
      opened
      onClose={onClose}
      title="Let go of expired backups"
      act={many === 0 ? "Nothing to let go" : `Let go of ${plural(many, "backup")}`}
      disabled={many === 0}
      danger
      isPending={act.isPending}
      error={act.error ?? would.error}
      onConfirm={() => act.mutate()}
    >
      {would.data ? <Would report={would.data} /> : !would.isError && <Skeleton rows={2} label="Looking which are over" />}
    </Confirm>
  );
}

function Would({ report }: { report: PruneReport }) {
  if (report.expired + report.interrupted === 0) return <Text size="sm">No backup is over its time, and none was left half made by a process that died.</Text>;
  return (
    <>
      <Text size="sm">
        {plural(report.expired, "backup")} {report.expired === 1 ? "is" : "are"} over {report.expired === 1 ? "its" : "their"} time; {report.interrupted}{" "}
        were left half made. What they hold goes for good:
      </Text>
      <ul>
        {report.backups.slice(0, 20).map((backup) => (
          <li key={backup.id}>{backup.label}</li>
        ))}
      </ul>
    </>
  );
}
