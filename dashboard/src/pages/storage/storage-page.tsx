import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { useHealth } from "@/api/care";
import type { HealthAct } from "./works";
import { Page } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { HealthSection } from "./health-section";
import { HistorySection } from "./history-section";
import { NumbersSection } from "./numbers-section";
import { UpkeepSection } from "./upkeep-section";
import { WorkDialog } from "./work-dialog";
import { isWork, type Work } from "./works";

/** How the store is, what is the matter, and what does something about it. */
export default function StoragePage() {
  const health = useHealth();
  const [work, setWork] = useState<Work>("sweep");
  const [opened, { open, close }] = useDisclosure(false);
  const begin = (act: HealthAct) => {
    if (!isWork(act)) return;
    setWork(act);
    open();
  };
  return (
    <Page title="Storage and health" note="Measured and counted in the store itself.">
      {health.data ? (
        <HealthSection health={health.data} begin={begin} />
      ) : health.isError ? (
        <ErrorState error={health.error} again={() => void health.refetch()} />
      ) : (
        <Skeleton rows={4} label="Looking how the store is" />
      )}
      <NumbersSection health={health.data} />
      <HistorySection />
      <UpkeepSection begin={begin} />
      <WorkDialog work={work} opened={opened} onClose={close} />
    </Page>
  );
}
