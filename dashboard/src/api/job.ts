/** A job of the server, followed: by events while there is a connection, by asking while there is none. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useFollowed } from "@/live/followed";
import { useConnection } from "@/live/use-live";
import { api } from "./client";
import type { Job } from "./model";

export const isOver = (job: Job | undefined): boolean => job?.state === "done" || job?.state === "failed";

export function useJob(id: string | null) {
  const client = useQueryClient();
  const { state } = useConnection();
  return useQuery<Job>({
    queryKey: ["job", id],
    enabled: id !== null,
    staleTime: 0,
    // An event may have been missed: asked now and then even while they come.
    refetchInterval: ({ state: { data } }) => (isOver(data) ? false : state === "live" ? 5000 : 1000),
    queryFn: async ({ signal }) => {
      const answer = await api.get<Job>(`/jobs/${id}`, {}, signal);
      const known = client.getQueryData<Job>(["job", id]); // an event may have overtaken the answer
      return known && known.updated > answer.updated ? known : answer;
    },
  });
}

export interface JobAct<Said> {
  start: (said: Said) => void;
  job: Job | undefined;
  isBusy: boolean;
  /** Why it was not begun, or how it ended badly. */
  error: unknown;
  /** Away with what is shown of it; the job itself goes on. */
  forget: () => void;
}

/** An act that is a job: begun from here, or found going on, because the page was left meanwhile. */
export function useJobAct<Said>(kind: string, object: string | null, ask: (said: Said) => Promise<Job>): JobAct<Said> {
  const begin = useMutation({ mutationFn: ask, onError: () => {} });
  const jobs = useQuery({ queryKey: ["jobs"], queryFn: ({ signal }) => api.get<{ jobs: Job[] }>("/jobs", {}, signal), staleTime: 5000 });
  const going = jobs.data?.jobs.find((job) => job.kind === kind && job.object === object && !isOver(job));
  const id = begin.data?.id ?? going?.id ?? null;
  const followed = useJob(id);
  useFollowed(id);
  const job = id === null ? undefined : (followed.data ?? begin.data);
  const lost = followed.isError ? followed.error : job?.state === "failed" ? new JobFailed(job) : null;
  return {
    start: (said) => begin.mutate(said),
    job,
    isBusy: begin.isPending || (id !== null && !isOver(job) && !followed.isError),
    error: begin.error ?? lost,
    forget: begin.reset,
  };
}

/** It began, and ended badly; the words are those of the server. */
export class JobFailed extends Error {
  override name = "JobFailed";

  constructor(readonly job: Job) {
    super(job.error?.detail ?? "It failed, and the server said no more.");
  }
}
