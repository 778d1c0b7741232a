/** Between the seconds of an address and a field for date and time, which is in the zone of who reads. */
export function fieldOf(seconds: string | null): string {
  const at = Number(seconds);
  if (!seconds || !Number.isFinite(at)) return "";
  const local = new Date(at * 1000 - new Date(at * 1000).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

export function secondsOf(field: string): string | null {
  const at = new Date(field).getTime();
  return Number.isFinite(at) ? String(at / 1000) : null;
}
