import { useQuery } from "@tanstack/react-query";
import { api } from "@/api/client";

/** A stream with its products and its sale. The room tells of changes at once; this is for what it does not tell. */
export function useStreamDetail(id: string) {
  return useQuery({
    queryKey: ["stream", id],
    queryFn: ({ signal }) => api.stream(id, { signal }),
    refetchInterval: 15_000,
  });
}
