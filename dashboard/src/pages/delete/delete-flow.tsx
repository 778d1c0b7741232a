import { Stepper } from "@mantine/core";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useDeleteSource, useMakeBackup } from "@/api/backups";
import type { BackupSource, Question } from "@/api/documents";
import { useJob } from "@/api/job";
import { useFollowed } from "@/live/followed";
import classes from "./delete-flow.module.css";
import { BackupStep } from "./backup-step";
import { DoneStep } from "./done-step";
import { FinalStep } from "./final-step";
import { PlanStep } from "./plan-step";

interface Flow {
  source: BackupSource | null;
  backup: string | null;
  onClose: () => void;
  onDeleted: () => void;
}

/** Where it stands follows from the two jobs; closing it stops neither. */
export function DeleteFlow({ source: asked, backup: there, onClose, onDeleted }: Flow) {
  const [source, setSource] = useState(asked);
  const [known, setKnown] = useState(there);
  const make = useMakeBackup();
  const making = useJob(make.data?.id ?? null);
  const remove = useDeleteSource();
  const removing = useJob(remove.data?.id ?? null);
  useFollowed(make.data?.id, remove.data?.id);

  const made = known ?? (making.data?.state === "done" ? String(making.data.result.backup) : null);
  const step = removing.data?.state === "done" ? 3 : made ? 2 : make.data ? 1 : 0;
  useEffect(() => {
    if (step === 3) onDeleted();
  }, [step]);
  const anew = (from: BackupSource | null) => {
    make.reset();
    remove.reset();
    setKnown(null);
    setSource(from);
  };

  return (
    <div className={classes.flow}>
      <Stepper active={step} size="sm" allowNextStepsSelect={false} className={classes.stepper} aria-label="Three steps">
        <Stepper.Step label="Confirm" description="what there is" allowStepSelect={false} />
        <Stepper.Step label="Back up" description="and read it back" allowStepSelect={false} loading={step === 1 && making.data?.state !== "failed"} />
        <Stepper.Step label="Delete" description="typed" allowStepSelect={false} />
      </Stepper>
      <Focused at={step}>
        {step === 0 && <PlanStep source={source} make={make} onClose={onClose} />}
        {step === 1 && <BackupStep job={making} onClose={onClose} again={() => anew(source)} />}
        {step === 2 && made && (
          <FinalStep
            backup={made}
            question={(making.data?.result.question as Question | undefined) ?? null}
            remove={remove}
            job={removing}
            onClose={onClose}
            anew={() => anew({ again: made })}
          />
        )}
        {step === 3 && made && <DoneStep backup={made} onClose={onClose} />}
      </Focused>
    </div>
  );
}

/** At each step the focus goes to its beginning, so that who listens hears what is asked now. */
function Focused({ at, children }: { at: number; children: ReactNode }) {
  const place = useRef<HTMLDivElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) place.current?.focus();
    first.current = false;
  }, [at]);
  return (
    <div ref={place} tabIndex={-1} className={classes.step} role="group" aria-label={`Step ${Math.min(at + 1, 3)} of 3`}>
      {children}
    </div>
  );
}
