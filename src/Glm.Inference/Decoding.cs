using System.Diagnostics;
using Glm.Models;

namespace Glm.Inference;

/// <summary>What a model continues.</summary>
/// <param name="Ids">Token ids, up to and including <c>sop</c> (and what comes after it, where generation is unidirectional).</param>
/// <param name="Place">The blank that is filled: which tokens see each other, and where the new ones stand.</param>
public sealed record DecodingContext(int[] Ids, BlankPlace Place);

/// <summary>What decoding gave, and how long it took.</summary>
/// <param name="Candidates">The candidates, best first.</param>
/// <param name="Steps">Number of tokens generated, of every beam.</param>
/// <param name="PromptTime">Time for the context.</param>
/// <param name="StepTime">Time for the steps after it.</param>
public sealed record DecodingResult(IReadOnlyList<Candidate> Candidates, int Steps, TimeSpan PromptTime, TimeSpan StepTime);

/// <summary>The loop of generation (spec 5.3): the context in one pass, then one token of every beam per step.</summary>
public static class Decoding
{
    /// <summary>Continues a context until the strategy is done, the room is full or the caller has enough.</summary>
    /// <param name="session">Where to compute.</param>
    /// <param name="strategy">Chooses the tokens.</param>
    /// <param name="context">What to continue.</param>
    /// <param name="maxNewTokens">Room for new tokens, at least 1.</param>
    /// <param name="onToken">Sees each token of a single beam; returns whether to go on.</param>
    /// <param name="cancellation">Ends it.</param>
    public static DecodingResult Run(
        Session session, DecodingStrategy strategy, DecodingContext context, int maxNewTokens,
        Func<int, bool>? onToken = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxNewTokens, 1);
        var clock = Stopwatch.StartNew();
        var beams = new List<KvCache.Sequence> { session.Cache.Add() };
        try
        {
            int length = context.Ids.Length, steps = 0, vocabulary = session.Model.VocabSize;
            strategy.Begin(context.Ids);
            var place = context.Place;
            bool twoAxes = session.Model.PositionAxes == 2;
            int[] positions = [.. Enumerable.Range(0, length).Select(i => session.Model.PositionOf(i, place).Token)];
            int[] blocks = twoAxes ? [.. Enumerable.Range(0, length).Select(i => session.Model.PositionOf(i, place).Block)] : [];
            var logits = session.Run([new SessionInput(beams[0], context.Ids, positions, place.Division, blocks)], cancellation: cancellation);
            var promptTime = clock.Elapsed;
            int[] tokens = [], position = new int[1], block = twoAxes ? new int[1] : [];
            SessionInput[] inputs = [];
            while (true)
            {
                var next = strategy.Step(logits, vocabulary);
                bool enough = onToken is not null && next.Count == 1 && !onToken(next[0].Token);
                if (++steps == maxNewTokens || strategy.Done || enough) break;
                Reorder(beams, next);
                (position[0], int inBlank) = session.Model.PositionOf(length + steps - 1, place);
                if (twoAxes) block[0] = inBlank;
                if (tokens.Length < next.Count) (tokens, inputs) = (new int[next.Count], new SessionInput[next.Count]);
                for (int i = 0; i < next.Count; i++)
                {
                    tokens[i] = next[i].Token;
                    inputs[i] = new SessionInput(beams[i], tokens.AsMemory(i, 1), position, place.Division, block);
                }
                logits = session.Run(inputs.AsSpan(0, next.Count), cancellation: cancellation);
            }
            return new DecodingResult(strategy.Finish(), steps, promptTime, clock.Elapsed - promptTime);
        }
        finally
        {
            foreach (var beam in beams) beam.Release();
        }
    }

    private static void Reorder(List<KvCache.Sequence> beams, IReadOnlyList<BeamStep> next)
    {
        if (next.Count == 1 && beams.Count == 1) return;
        var parents = beams.ToArray();
        var free = new HashSet<KvCache.Sequence>(parents);
        beams.Clear();
        // The first child of a beam goes on in its sequence, the others in forks.
        foreach (var step in next)
            beams.Add(free.Remove(parents[step.Parent]) ? parents[step.Parent] : parents[step.Parent].Fork());
        foreach (var unused in free) unused.Release();
    }
}
