import { Alert, Button, PasswordInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link, Navigate, useNavigate } from "react-router";
import { api } from "@/api/client";
import { useSetup } from "@/session/session";
import { Entrance } from "@/ui/entrance";
import { ErrorState, messageOf, Skeleton } from "@/ui/states";

/** The secret stands in the fragment, which browsers send to nobody: no log of a proxy has it. */
const secretOfLink = (): string => decodeURIComponent(location.hash.slice(1)).replace(/^secret=/, "");

export default function SetupPage() {
  const state = useQuery({ queryKey: ["setup"], queryFn: () => api.get<{ needed: boolean }>("/setup") });
  const setup = useSetup();
  const navigate = useNavigate();
  const [secret, setSecret] = useState(secretOfLink);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const differs = again !== "" && again !== password;
  if (setup.isSuccess) return <Navigate to="/runs" replace />;
  if (state.isError) return <ErrorState error={state.error} again={() => void state.refetch()} />;
  if (!state.data) return <Skeleton rows={3} />;
  if (!state.data.needed) return <AlreadyDone />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (password !== again) return;
    setup.mutate({ secret, name, password }, { onSuccess: () => void navigate("/runs", { replace: true }) });
  };
  return (
    <Entrance title="Set up waycairn" note="The first account. It is an admin, and makes the accounts of the others.">
      <form onSubmit={submit}>
        {secretOfLink() === "" && (
          <TextInput label="Setup secret" description="From the link that waycairn serve printed." required value={secret} onChange={(event) => setSecret(event.currentTarget.value)} />
        )}
        <TextInput label="Name" autoComplete="username" required withAsterisk={false} autoFocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <PasswordInput label="Password" description="At least 10 characters. A sentence is easy to remember." autoComplete="new-password" required withAsterisk={false} minLength={10} value={password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": "Show the password", tabIndex: 0 }} />
        <PasswordInput label="Password again" autoComplete="new-password" required withAsterisk={false} value={again} onChange={(event) => setAgain(event.currentTarget.value)} error={differs && "This is not the same."} visibilityToggleButtonProps={{ "aria-label": "Show the password again", tabIndex: 0 }} />
        <div role="alert">{setup.error && <Alert color="red">{messageOf(setup.error)}</Alert>}</div>
        <Button type="submit" fullWidth loading={setup.isPending}>
          Make the account and sign in
        </Button>
      </form>
    </Entrance>
  );
}

function AlreadyDone() {
  return (
    <Entrance title="This is set up already" note="The link worked once, as it should. Who has an account signs in; who has none asks an admin.">
      <Button component={Link} to="/sign-in" fullWidth>
        Sign in
      </Button>
    </Entrance>
  );
}
