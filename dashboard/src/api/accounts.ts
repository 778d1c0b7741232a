import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "./client";
import type { Account, RoleWords, Token } from "./documents";
import type { Role } from "./model";

export const ROLES: readonly Role[] = ["viewer", "operator", "admin"];

export const useAccounts = () =>
  useQuery({ queryKey: ["accounts"], queryFn: ({ signal }) => api.get<{ accounts: Account[] }>("/accounts", {}, signal) });

export const useRoles = () =>
  useQuery({ queryKey: ["roles"], staleTime: Infinity, queryFn: ({ signal }) => api.get<{ roles: RoleWords[] }>("/roles", {}, signal) });

/** `null`: one's own. */
export const useTokens = (account: string | null) =>
  useQuery({ queryKey: ["tokens", account], queryFn: ({ signal }) => api.get<{ tokens: Token[] }>("/tokens", { account }, signal) });

/** Changes what accounts and tokens there are, and reads them anew. Errors are shown where it was asked. */
export function useAccountAct<Said, Answer>(mutationFn: (said: Said) => Promise<Answer>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    onError: () => {},
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ["accounts"] });
      void client.invalidateQueries({ queryKey: ["tokens"] });
    },
  });
}

export interface AccountChange {
  role?: Role;
  disabled?: boolean;
  password?: string;
}

export const useChangeAccount = (name: string) => useAccountAct((change: AccountChange) => api.patch<Account>(`/accounts/${encodeURIComponent(name)}`, change));
