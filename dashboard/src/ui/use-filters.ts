/** Filters of a list as they stand in the address of the page: it can be sent to a colleague. */
import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useState } from "react";
import { useSearchParams } from "react-router";

export function useFilters() {
  const [search, setSearch] = useSearchParams();
  const set = (name: string, value: string | readonly string[] | null) =>
    setSearch(
      (old) => {
        const now = new URLSearchParams(old);
        now.delete(name);
        for (const one of value === null || value === "" ? [] : typeof value === "string" ? [value] : value) now.append(name, one);
        return now;
      },
      { replace: true },
    );
  const clear = () => setSearch({}, { replace: true });
  return { get: (name: string) => search.get(name), all: (name: string) => search.getAll(name), set, clear, isAny: [...search.keys()].length > 0 };
}

/** A text that is typed: seen at once, in the address a moment later; and the other way where the address changes. */
export function useTyped(value: string | null, set: (text: string) => void): [string, (text: string) => void] {
  const [typed, setTyped] = useState(value ?? "");
  const later = useDebouncedCallback(set, 250);
  useEffect(() => setTyped(value ?? ""), [value]);
  return [
    typed,
    (text) => {
      setTyped(text);
      later(text);
    },
  ];
}
