import { Alert, Button, TextInput } from "@mantine/core";
import { IconLink, IconLinkOff, IconShieldCheck } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "@/api/client";
import type { AuditChecked } from "@/api/documents";
import { formatCount, plural } from "@/format/number";
import { Command } from "@/ui/command";
import { Section } from "@/ui/page";
import { messageOf } from "@/ui/states";
import classes from "./audit.module.css";

/** Each row holds the hash of the one before: whether they fit together, and with what was kept elsewhere. */
export function ChainCheck() {
  const [anchor, setAnchor] = useState("");
  const check = useMutation({ mutationFn: () => api.get<AuditChecked>("/audit/verify", { anchor: anchor.trim() }), onError: () => {} });
  const ask = (event: FormEvent) => {
    event.preventDefault();
    check.mutate();
  };
  return (
    <Section title="Is the log whole?">
      <form className={classes.ask} onSubmit={ask}>
        <TextInput label="Anchor, if you kept one" description="NUMBER:HASH of an earlier check. It shows whether the whole log was written anew since." placeholder="may stay empty" value={anchor} onChange={(event) => setAnchor(event.currentTarget.value)} autoComplete="off" />
        <Button type="submit" variant="default" leftSection={<IconLink size={16} aria-hidden />} loading={check.isPending}>
          Check the chain
        </Button>
      </form>
      <div aria-live="polite" className={check.data || check.error ? classes.answer : undefined}>
        {check.error && <Alert color="red" title="It was not checked">{messageOf(check.error)}</Alert>}
        {check.data && !check.isPending && <Checked checked={check.data} />}
      </div>
    </Section>
  );
}

function Checked({ checked }: { checked: AuditChecked }) {
  if (!checked.fits)
    return (
      <Alert color="red" icon={<IconLinkOff aria-hidden />} title={`The log was tampered with, or damaged: ${plural(checked.misfits.length + checked.more, "row")} ${checked.misfits.length + checked.more === 1 ? "does" : "do"} not fit`}>
        <ul className={classes.misfits}>
          {checked.misfits.map(({ number, what }) => (
            <li key={`${number} ${what}`}>
              Row {formatCount(number)}: {what}
            </li>
          ))}
        </ul>
        {checked.more > 0 && <p>And {plural(checked.more, "more")}.</p>}
      </Alert>
    );
  return (
    <Alert color="green" icon={<IconShieldCheck aria-hidden />} title={`All ${plural(checked.rows, "row")} fit together`}>
      {checked.anchor !== null && (
        <div className={classes.anchor}>
          <span>Keep this elsewhere; with it a later check also finds a log that was written anew as a whole:</span>
          <Command line={checked.anchor} />
        </div>
      )}
    </Alert>
  );
}
