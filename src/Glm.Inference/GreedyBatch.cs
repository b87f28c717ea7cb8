namespace Glm.Inference;

/// <summary>Continues several contexts at once, always with the most probable token. Each gets what it would get alone.</summary>
public static class GreedyBatch
{
    /// <summary>Continues contexts until each has come to an end token, the caller has enough of it, or the room is full.</summary>
    /// <param name="session">Where to compute.</param>
    /// <param name="contexts">What to continue.</param>
    /// <param name="maxNewTokens">Room for new tokens of each, at least 1.</param>
    /// <param name="endTokens">Ids after which there is nothing more to say.</param>
    /// <param name="onToken">Sees each token with the index of its context; returns whether to go on with that one.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The new ids of each context, an end token not among them.</returns>
    public static int[][] Run(
        Session session, IReadOnlyList<DecodingContext> contexts, int maxNewTokens, IReadOnlyList<int> endTokens, Func<int, int, bool>? onToken = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxNewTokens, 1);
        var model = session.Model;
        var sequences = contexts.Select(_ => session.Cache.Add()).ToList();
        try
        {
            List<int>[] generated = [.. contexts.Select(_ => new List<int>())];
            int[] running = [.. Enumerable.Range(0, contexts.Count)];
            SessionInput[] inputs = [.. contexts.Select((context, i) => Input(i, 0, context.Ids))];
            var logits = session.Run(inputs, cancellation: cancellation);
            for (int step = 1; ; step++)
            {
                var going = new List<int>(running.Length);
                for (int row = 0; row < running.Length; row++)
                {
                    int i = running[row], token = LogitMath.ArgMax(logits.Slice(row * model.VocabSize, model.VocabSize));
                    if (endTokens.Contains(token)) continue;
                    generated[i].Add(token);
                    if (onToken?.Invoke(i, token) != false && step < maxNewTokens) going.Add(i);
                }
                foreach (int i in running.Except(going)) sequences[i].Release();
                running = [.. going];
                if (running.Length == 0) return [.. generated.Select(ids => ids.ToArray())];
                inputs = [.. running.Select(i => Input(i, sequences[i].Length, [generated[i][^1]]))];
                logits = session.Run(inputs, cancellation: cancellation);
            }
        }
        finally
        {
            foreach (var sequence in sequences) sequence.Release();
        }

        SessionInput Input(int i, int past, int[] ids)
        {
            var place = contexts[i].Place;
            (int Token, int Block)[] positions = [.. Enumerable.Range(past, ids.Length).Select(index => model.PositionOf(index, place))];
            return new SessionInput(
                sequences[i], ids, positions.Select(position => position.Token).ToArray(), place.Division, model.PositionAxes == 2 ? positions.Select(position => position.Block).ToArray() : default);
        }
    }
}
