using System.Diagnostics;
using Glm.Models;

namespace Glm.Inference;

/// <summary>What a model continues.</summary>
/// <param name="Ids">Token ids, up to and including <c>sop</c> (and what comes after it, where generation is unidirectional).</param>
/// <param name="Place">The blank that is filled: which tokens see each other, and where the new ones stand.</param>
public sealed record DecodingContext(int[] Ids, BlankPlace Place);

/// <summary>A context, and how it is continued.</summary>
/// <param name="Context">The context.</param>
/// <param name="Strategy">Chooses the tokens; of nothing else at the same time.</param>
/// <param name="MaxNewTokens">Room for new tokens, at least 1.</param>
/// <param name="OnToken">Sees each token of a single beam; returns whether to go on.</param>
public sealed record DecodingTask(DecodingContext Context, DecodingStrategy Strategy, int MaxNewTokens, Func<int, bool>? OnToken = null)
{
    /// <summary>Tokens that it may come to; beams share those of the context.</summary>
    internal int MaxTokens => Context.Ids.Length + (Strategy.MaxBeams * MaxNewTokens);
}

/// <summary>What decoding gave, and how long it took.</summary>
/// <param name="Candidates">The candidates, best first.</param>
/// <param name="Steps">Number of tokens generated, of every beam.</param>
/// <param name="PromptTime">Time for the context.</param>
/// <param name="StepTime">Time for the steps after it.</param>
public sealed record DecodingResult(IReadOnlyList<Candidate> Candidates, int Steps, TimeSpan PromptTime, TimeSpan StepTime);

/// <summary>The loop of generation (spec 5.3): the context in one pass, then one token of every beam per step.</summary>
public static class Decoding
{
    /// <summary>Many contexts together have so many beams at most, so many tokens that they may come to, and so many that are read in one pass.</summary>
    private const int MostBeams = 128, MostTokens = 32768, MostRead = 2048;

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
        using var search = new Search(session, new DecodingTask(context, strategy, maxNewTokens, onToken));
        bool more = true;
        while (more) more = search.Take(session.Run(search.Inputs, cancellation: cancellation));
        return search.Result();
    }

    /// <summary>Continues many contexts at once: one joins as soon as there is room for its beams, and gets what it would get alone.</summary>
    /// <param name="session">Where to compute.</param>
    /// <param name="tasks">What to continue; contexts of about the same length best stand together.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The results as they are ready, each with the index of its task.</returns>
    public static IEnumerable<(int Task, DecodingResult Result)> Run(Session session, IReadOnlyList<DecodingTask> tasks, CancellationToken cancellation = default)
    {
        var running = new List<(int Task, Search Search)>();
        try
        {
            for (int next = 0; next < tasks.Count || running.Count > 0;)
            {
                Admit(session, tasks, running, ref next);
                SessionInput[] inputs = [.. running.SelectMany(entry => entry.Search.Inputs)];
                var finished = Step(running, session.Run(inputs, cancellation: cancellation), session.Model.VocabSize);
                running.RemoveAll(finished.Contains);
                foreach (var (task, search) in finished)
                {
                    search.Dispose();
                    yield return (task, search.Result());
                }
            }
        }
        finally
        {
            foreach (var (_, search) in running) search.Dispose();
        }
    }

    /// <summary>Takes up contexts as long as there is room, and one in any case.</summary>
    private static void Admit(Session session, IReadOnlyList<DecodingTask> tasks, List<(int Task, Search Search)> running, ref int next)
    {
        int beams = running.Sum(entry => entry.Search.Task.Strategy.MaxBeams), kept = running.Sum(entry => entry.Search.Task.MaxTokens), read = 0;
        for (; next < tasks.Count; next++)
        {
            beams += tasks[next].Strategy.MaxBeams;
            kept += tasks[next].MaxTokens;
            read += tasks[next].Context.Ids.Length;
            if (running.Count > 0 && (beams > MostBeams || kept > MostTokens || read > MostRead)) return;
            running.Add((next, new Search(session, tasks[next])));
        }
    }

    /// <summary>Lets each search take its rows of the logits; returns those that are done.</summary>
    private static HashSet<(int Task, Search Search)> Step(List<(int Task, Search Search)> running, Span<float> logits, int vocabulary)
    {
        var finished = new HashSet<(int Task, Search Search)>();
        int row = 0;
        foreach (var entry in running)
        {
            int rows = entry.Search.Inputs.Count;
            if (!entry.Search.Take(logits.Slice(row * vocabulary, rows * vocabulary))) finished.Add(entry);
            row += rows;
        }
        return finished;
    }

    /// <summary>The continuation of one context, step by step.</summary>
    private sealed class Search : IDisposable
    {
        private readonly Session _session;
        private readonly List<KvCache.Sequence> _beams;
        private readonly int[] _position = new int[1], _block;
        private readonly long _begun = Stopwatch.GetTimestamp();
        private SessionInput[] _inputs;
        private int[] _tokens = [];
        private int _count = 1, _steps;
        private TimeSpan _promptTime;

        public Search(Session session, DecodingTask task)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(task.MaxNewTokens, 1);
            _session = session;
            Task = task;
            var ((ids, place), model) = (task.Context, session.Model);
            task.Strategy.Begin(ids);
            _beams = [session.Cache.Add()];
            _block = model.PositionAxes == 2 ? new int[1] : [];
            int[] positions = [.. Enumerable.Range(0, ids.Length).Select(i => model.PositionOf(i, place).Token)];
            int[] blocks = model.PositionAxes == 2 ? [.. Enumerable.Range(0, ids.Length).Select(i => model.PositionOf(i, place).Block)] : [];
            _inputs = [new SessionInput(_beams[0], ids, positions, place.Division, blocks)];
        }

        public DecodingTask Task { get; }

        /// <summary>What goes through the model next.</summary>
        public ArraySegment<SessionInput> Inputs => new(_inputs, 0, _count);

        /// <summary>Chooses tokens from the logits after the inputs; returns whether to go on.</summary>
        public bool Take(Span<float> logits)
        {
            if (_steps == 0) _promptTime = Stopwatch.GetElapsedTime(_begun);
            var next = Task.Strategy.Step(logits, _session.Model.VocabSize);
            bool enough = Task.OnToken is { } sees && next.Count == 1 && !sees(next[0].Token);
            if (++_steps == Task.MaxNewTokens || Task.Strategy.Done || enough) return false;
            Reorder(next);
            (_position[0], int inBlank) = _session.Model.PositionOf(Task.Context.Ids.Length + _steps - 1, Task.Context.Place);
            if (_block.Length > 0) _block[0] = inBlank;
            if (_tokens.Length < next.Count) (_tokens, _inputs) = (new int[next.Count], new SessionInput[next.Count]);
            _count = next.Count;
            for (int i = 0; i < _count; i++)
            {
                _tokens[i] = next[i].Token;
                _inputs[i] = new SessionInput(_beams[i], _tokens.AsMemory(i, 1), _position, Task.Context.Place.Division, _block);
            }
            return true;
        }

        public DecodingResult Result() => new(Task.Strategy.Finish(), _steps, _promptTime, Stopwatch.GetElapsedTime(_begun) - _promptTime);

        public void Dispose()
        {
            foreach (var beam in _beams) beam.Release();
            _beams.Clear();
        }

        private void Reorder(IReadOnlyList<BeamStep> next)
        {
            if (next.Count == 1 && _beams.Count == 1) return;
            var parents = _beams.ToArray();
            var free = new HashSet<KvCache.Sequence>(parents);
            _beams.Clear();
            // The first child of a beam goes on in its sequence, the others in forks.
            foreach (var step in next)
                _beams.Add(free.Remove(parents[step.Parent]) ? parents[step.Parent] : parents[step.Parent].Fork());
            foreach (var unused in free) unused.Release();
        }
    }
}
