import { Alert, Button, PasswordInput, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Navigate, useSearchParams } from "react-router";
import { api } from "@/api/client";
import { Problem } from "@/api/problem";
import { useSessionQuery, useSignIn } from "@/session/session";
import { Entrance } from "@/ui/entrance";
import { messageOf } from "@/ui/states";

export default function SignInPage() {
  const session = useSessionQuery();
  const setup = useQuery({ queryKey: ["setup"], queryFn: () => api.get<{ needed: boolean }>("/setup") });
  const signIn = useSignIn();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [search] = useSearchParams();
  if (session.data) return <Navigate to={pathOf(search.get("next"))} replace />;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate({ name, password }, { onError: () => setPassword("") });
  };
  return (
    <Entrance title="Sign in">
      {setup.data?.needed && (
        <Alert color="cairn" title="Nobody has an account here yet">
          Open the setup link that <code>waycairn serve</code> printed where it was started. It works once.
        </Alert>
      )}
      <form onSubmit={submit}>
        <TextInput label="Name" autoComplete="username" required withAsterisk={false} autoFocus value={name} onChange={(event) => setName(event.currentTarget.value)} />
        <PasswordInput
          label="Password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": "Show the password", tabIndex: 0 }}
        />
        <div role="alert">{signIn.error && <Alert color="red">{wordsOf(signIn.error)}</Alert>}</div>
        <Button type="submit" fullWidth loading={signIn.isPending}>
          Sign in
        </Button>
      </form>
    </Entrance>
  );
}

function wordsOf(error: Error): string {
  if (error instanceof Problem && error.status === 401) return "Name and password do not belong together.";
  if (error instanceof Problem && error.status === 429)
    return `Too many tries. Wait ${error.retryAfter ? `${error.retryAfter} seconds` : "a minute"} and try again.`;
  return messageOf(error);
}

/** Only ways within this page: an address of elsewhere in a link would lead away who has just signed in. */
function pathOf(next: string | null): string {
  const url = next === null ? null : new URL(next, location.origin);
  return url?.origin === location.origin && next?.startsWith("/") ? url.pathname + url.search + url.hash : "/runs";
}
