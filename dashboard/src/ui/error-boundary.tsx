import { Button } from "@mantine/core";
import { IconTrafficCone } from "@tabler/icons-react";
import { Component, type ReactNode } from "react";
import { Empty } from "./states";

/** A page that breaks takes nothing with it but itself. `at` changes with the address: another page is tried anew. */
export class ErrorBoundary extends Component<{ at: string; children: ReactNode }, { error: unknown; at: string }> {
  override state = { error: null as unknown, at: this.props.at };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  static getDerivedStateFromProps(props: { at: string }, state: { error: unknown; at: string }) {
    return props.at === state.at ? null : { error: null, at: props.at };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <div role="alert">
        <Empty icon={IconTrafficCone} title="This page broke" actions={<Button onClick={() => location.reload()}>Load it anew</Button>}>
          {isOldBundle(this.state.error)
            ? "The server was given a new version since this page was opened. Load it anew to go on."
            : `Nothing was changed by it. The browser says: ${String(this.state.error)}`}
        </Empty>
      </div>
    );
  }
}

/** After an upgrade of the server the pieces of the old page are gone. */
const isOldBundle = (error: unknown): boolean => error instanceof TypeError && /dynamically imported module/.test(error.message);
