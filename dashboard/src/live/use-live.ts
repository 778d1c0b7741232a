import { useEffect, useEffectEvent, useSyncExternalStore } from "react";
import { connectionNow, listen, watchConnection } from "./live";

/** Hears of an event while the component is shown. */
export function useLive<T>(event: string, then: (data: T) => void): void {
  const heard = useEffectEvent(then);
  useEffect(() => listen<T>(event, (data) => heard(data)), [event]);
}

export const useConnection = () => useSyncExternalStore(watchConnection, connectionNow);
