import { QueryCache, QueryClient } from "@tanstack/react-query";
import { isNotSignedIn, Problem } from "./problem";

/** What is read stays right by events (live/), so nothing is read anew because a window was looked at again. */
export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      // The login ended (elsewhere, or by time): the shell shows the sign-in, and comes back to this page.
      if (isNotSignedIn(error) && query.queryKey[0] !== "session") queryClient.setQueryData(["session"], null);
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (times, error) => !(error instanceof Problem && error.status < 500) && times < 2,
    },
    mutations: {
      retry: false, // an act that may have been done is not done again unasked
      onError: (error) => {
        if (isNotSignedIn(error)) queryClient.setQueryData(["session"], null);
      },
    },
  },
});
