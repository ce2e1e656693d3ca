/** What the player component needs of an engine, whichever plays. */

export interface Quality {
  /** Index of the engine; -1 is automatic. */
  index: number;
  height: number;
  kbps: number;
}

export interface Engine {
  setQuality(index: number): void;
  /** Seconds behind the live edge of the broadcast; null while unknown. */
  latencySeconds(): number | null;
  /** Jump to the live edge. */
  goLive(): void;
  destroy(): void;
}

export interface EngineEvents {
  onQualities(list: Quality[], selected: number): void;
  onPlaying(index: number): void;
  /** The stream cannot be loaded right now; the engine keeps trying. */
  onStalled(stalled: boolean): void;
}
