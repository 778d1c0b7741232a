import { Button, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlus } from "@tabler/icons-react";
import { useRef, useState } from "react";
import { useAccountAct, useTokens } from "@/api/accounts";
import { api } from "@/api/client";
import type { Token } from "@/api/documents";
import { type Column, DataTable } from "@/ui/data-table";
import { Confirm } from "@/ui/confirm";
import { useTextAt } from "@/ui/now";
import { Section } from "@/ui/page";
import { returnFocus } from "@/ui/return-focus";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import classes from "./accounts.module.css";
import { NewToken } from "./new-token";
import { RoleBadge } from "./role-badge";

/** What programs sign in with: of an account, of `all`, or (null) one's own, where new ones are made. */
export function Tokens({ account, title }: { account: string | null; title: string }) {
  const [opened, { open, close }] = useDisclosure(false);
  const opener = useRef<HTMLButtonElement>(null);
  const leave = () => {
    close();
    returnFocus(opener); // one dialog came after another
  };
  return (
    <Section
      title={title}
      actions={
        account === null && (
          <Button ref={opener} size="compact-sm" variant="default" leftSection={<IconPlus size={15} aria-hidden />} onClick={open}>
            New token…
          </Button>
        )
      }
    >
      <List account={account} />
      {account === null && <NewToken opened={opened} onClose={leave} />}
    </Section>
  );
}

function List({ account }: { account: string | null }) {
  const tokens = useTokens(account);
  const [revoked, setRevoked] = useState<Token | null>(null);
  if (tokens.isError) return <ErrorState error={tokens.error} again={() => void tokens.refetch()} />;
  if (!tokens.data) return <Skeleton rows={2} label="Loading the tokens" />;
  if (tokens.data.tokens.length === 0)
    return (
      <Text size="sm" p="md" c="dimmed">
        There is no token. Programs and scripts use one: <code className="mono">Authorization: Bearer wct_…</code>
      </Text>
    );
  const columns: readonly Column<Token>[] = [
    { name: "name", title: "Token", lead: true, cell: (token) => <Name token={token} /> },
    ...(account === null ? [] : [{ name: "account", title: "Of", cell: (token: Token) => token.account }]),
    { name: "may", title: "May", cell: ({ scopes }) => scopes.map((role) => <RoleBadge key={role} role={role} />) },
    { name: "used", title: "Used last", cell: ({ used }) => (used === null ? "never" : <Ago at={used} />) },
    { name: "expires", title: "Ends", cell: ({ expires }) => (expires === null ? "never" : <Ago at={expires} />) },
    {
      name: "revoke",
      title: "",
      cell: (token) => (
        <Button size="compact-sm" variant="subtle" color="red" onClick={() => setRevoked(token)} aria-label={`Revoke ${token.name} of ${token.account}`}>
          Revoke…
        </Button>
      ),
    },
  ];
  return (
    <>
      <DataTable dense caption="Tokens, the newest first" columns={columns} rows={tokens.data.tokens} rowKey={({ id }) => id} />
      <Revoke token={revoked} onClose={() => setRevoked(null)} />
    </>
  );
}

function Name({ token }: { token: Token }) {
  const isOver = useTextAt((now) => (token.expires !== null && token.expires <= now ? "ended" : "")) !== "";
  return (
    <span className={classes.name}>
      {token.name}
      {isOver && <Badge tone="gray">ended</Badge>}
    </span>
  );
}

function Revoke({ token, onClose }: { token: Token | null; onClose: () => void }) {
  const revoke = useAccountAct(() => api.delete<undefined>(`/tokens/${token?.id}`));
  const close = () => {
    revoke.reset();
    onClose();
  };
  return (
    <Confirm opened={token !== null} onClose={close} title={`Revoke ${token?.name ?? "the token"}`} act="Revoke" danger isPending={revoke.isPending} error={revoke.error} onConfirm={() => revoke.mutate(undefined, { onSuccess: close })}>
      <Text size="sm">It is worth nothing from that moment on; the programs that use it are refused.</Text>
    </Confirm>
  );
}
