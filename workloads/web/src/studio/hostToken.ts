/**
 * The host's token comes in the fragment of the studio's link, which no server sees.
 *
 * It moves to this tab's storage at once and leaves the address: a shared screen or a copied link must not carry it.
 */
const slot = (id: string) => `haat.host.${id}`;

export function takeHostToken(id: string): string | null {
  const token = new URLSearchParams(location.hash.replace(/^#/, "")).get("token");
  if (!token) return stored(id);
  try {
    sessionStorage.setItem(slot(id), token);
  } catch {
    // Without storage the token lasts until the page is left.
  }
  history.replaceState(history.state, "", location.pathname + location.search);
  return token;
}

function stored(id: string): string | null {
  try {
    return sessionStorage.getItem(slot(id));
  } catch {
    return null;
  }
}
