import { Alert, Button, PasswordInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "@/api/client";
import { useSession } from "@/session/session";
import { messageOf } from "@/ui/states";
import classes from "../accounts/accounts.module.css";

const EMPTY = { old: "", fresh: "", again: "" };
const shows = (what: string) => ({ "aria-label": `Show the ${what}`, tabIndex: 0 });

export function PasswordForm() {
  const { account } = useSession();
  const [said, setSaid] = useState(EMPTY);
  const change = useMutation({
    mutationFn: () => api.put<undefined>("/session/password", { old: said.old, new: said.fresh }),
    onError: () => {},
    onSuccess: () => setSaid(EMPTY),
  });
  const differs = said.again !== "" && said.again !== said.fresh;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (said.fresh === said.again) change.mutate();
  };
  const set = (name: keyof typeof EMPTY) => (event: { currentTarget: HTMLInputElement }) => setSaid({ ...said, [name]: event.currentTarget.value });
  return (
    <form className={classes.form} onSubmit={submit}>
      <input type="text" name="username" autoComplete="username" value={account.name} readOnly hidden />
      <PasswordInput label="Password so far" autoComplete="current-password" required value={said.old} onChange={set("old")} visibilityToggleButtonProps={shows("password so far")} />
      <PasswordInput label="New password" description="At least 10 characters. A sentence is easy to remember." autoComplete="new-password" required minLength={10} value={said.fresh} onChange={set("fresh")} visibilityToggleButtonProps={shows("new password")} />
      <PasswordInput label="New password again" autoComplete="new-password" required value={said.again} onChange={set("again")} error={differs && "This is not the same."} visibilityToggleButtonProps={shows("new password again")} />
      <div aria-live="polite">
        {change.error && <Alert color="red" title="Nothing was changed">{messageOf(change.error)}</Alert>}
        {change.isSuccess && <Alert color="green" title="The password is changed">Other browsers in which you were signed in are signed out. Your tokens stay.</Alert>}
      </div>
      <div>
        <Button type="submit" variant="default" loading={change.isPending} disabled={differs}>
          Change the password
        </Button>
      </div>
    </form>
  );
}
