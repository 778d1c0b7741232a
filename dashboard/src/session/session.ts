import { queryOptions, useMutation, useQuery } from "@tanstack/react-query";
import { api, carryCsrf, forgetEarly } from "@/api/client";
import type { Role, Session } from "@/api/model";
import { isNotSignedIn } from "@/api/problem";
import { queryClient } from "@/api/query-client";

const KEY = ["session"];
const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

/** null: nobody is signed in. */
async function readSession(): Promise<Session | null> {
  try {
    return adopt(await api.get<Session>("/session"));
  } catch (error) {
    if (isNotSignedIn(error)) return null;
    throw error;
  }
}

function adopt(session: Session): Session {
  carryCsrf(session.csrf);
  return session;
}

export const sessionQuery = queryOptions({ queryKey: KEY, queryFn: readSession, staleTime: Infinity });
export const useSessionQuery = () => useQuery(sessionQuery);

/** In pages that are shown only to who is signed in. */
export function useSession(): Session {
  const session = useSessionQuery().data;
  if (!session) throw new Error("no session: this page is behind the sign-in");
  return session;
}

export const covers = (role: Role, asked: Role): boolean => RANK[role] >= RANK[asked];

/** Whether the account has the role, or a greater one. */
export const useMay = (asked: Role): boolean => covers(useSession().account.role, asked);

function enter(session: Session): void {
  queryClient.clear(); // answers to another account, or to none, are worth nothing now
  queryClient.setQueryData(KEY, adopt(session));
}

export const useSignIn = () =>
  useMutation({ mutationFn: (said: { name: string; password: string }) => api.post<Session>("/session", said), onSuccess: enter, onError: () => {} });

export const useSetup = () =>
  useMutation({
    mutationFn: (said: { secret: string; name: string; password: string }) => api.post<Session>("/setup", said),
    onSuccess: enter,
    onError: () => {},
  });

export const useSignOut = () =>
  useMutation({
    mutationFn: () => api.delete<undefined>("/session"),
    onSuccess: () => {
      forgetEarly();
      carryCsrf(null);
      queryClient.clear();
      queryClient.setQueryData(KEY, null);
    },
  });
