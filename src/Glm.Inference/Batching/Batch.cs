using System.Diagnostics;
using Glm.Models;

namespace Glm.Inference;

/// <summary>The requests that are generated together. Belongs to the engine's thread.</summary>
/// <remarks>
/// A step gives every request that generates its next token, and beside them so many tokens of contexts as keep the step short: contexts of causal models are read
/// in pieces, the shortest rest first, so that a long one does not keep others waiting. A bidirectional context goes through the model as a whole.
/// </remarks>
internal sealed class Batch(Session session, BatchingOptions options, DraftModel? draft)
{
    /// <summary>So many tokens that another request is about to compute are worth waiting for.</summary>
    private const int WorthWaiting = 16;

    /// <summary>A context so short is read in a step of its own, so that its first token does not wait for those of all others.</summary>
    private const int ShortContext = 64;

    private readonly List<BatchEntry> _running = [], _reading = [], _returned = [];
    private readonly List<(BatchEntry Entry, int Tokens, int Drafts)> _plan = [];
    private readonly PrefixStore _prefixes = new(options.KeptSequences);
    private readonly float[] _scratch = new float[session.Model.VocabSize];
    private SessionInput[] _inputs = [];
    private bool _readOnly; // whether this step reads contexts and generates nothing

    // Read by other threads, each number for itself.
    private int _runningCount, _usedPages;
    private long _steps, _contextTokens, _sharedTokens, _newTokens, _draftedTokens, _acceptedTokens, _finished, _cancelled, _failed, _preempted, _busyTicks;

    /// <summary>Set by any thread: cancel everything.</summary>
    public volatile bool Abandon;

    public bool IsEmpty => _running.Count == 0;

    /// <summary>Running mean of the seconds that a request takes from its arrival.</summary>
    public double MeanSeconds { get; private set; } = 1;

    /// <summary>What it has done, for any thread; without what the queue knows.</summary>
    public EngineStatistics Statistics => new(
        0, _runningCount, _steps, _contextTokens, _sharedTokens, _newTokens, _draftedTokens, _acceptedTokens, _finished, _cancelled, _failed, 0, _preempted, _usedPages, session.Cache.MaxPages,
        Stopwatch.GetElapsedTime(0, _busyTicks));

    /// <summary>Takes requests out of the queue as long as there is room, and drops those that are cancelled or overdue.</summary>
    public void Admit(FairQueue queue)
    {
        if (queue.Count == 0) return;
        foreach (var entry in queue.InOrder.Where(IsOver).ToArray())
        {
            queue.Remove(entry);
            End(entry);
        }
        if (queue.Count == 0 || _running.Count >= options.MaxBatch) return;
        foreach (var entry in queue.InOrder.ToArray())
        {
            if (_running.Count >= options.MaxBatch) break;
            var (shared, from) = entry.Request.ContextLogprobs ? (0, null) : Beginning(entry);
            if (shared < 0) continue; // what it would share is being read right now
            var sequence = from is null ? session.Cache.Add() : from.Fork(shared);
            // The context, and a page to go on with: who is in the batch should not lose its memory at once.
            int spare = _running.Count == 0 ? 0 : 1;
            while (session.Cache.FreePages < sequence.NewPages(entry.Length - shared) + spare && _prefixes.DropOldest()) { }
            if (session.Cache.FreePages < sequence.NewPages(entry.Length - shared) + spare)
            {
                sequence.Release();
                break;
            }
            queue.Remove(entry);
            entry.Begin(sequence);
            _running.Add(entry);
            _sharedTokens += shared;
        }
    }

    /// <summary>The longest beginning of a request that the cache holds; a negative length where another request will soon hold a longer one.</summary>
    private (int Length, KvCache.Sequence? Sequence) Beginning(BatchEntry entry)
    {
        var place = entry.Request.Context.Place;
        var (length, sequence) = _prefixes.Find(entry.Ids, place);
        int promised = 0;
        foreach (var other in _running)
        {
            int common = PrefixStore.CommonLength(entry.Ids, place, other.Ids, other.Request.Context.Place), ready = Math.Min(common, other.Sequence!.Length);
            if (entry.IsWhole && ready < place.Division) ready = 0;
            if (ready > length) (length, sequence) = (ready, other.Sequence);
            promised = Math.Max(promised, common);
        }
        return promised - length >= WorthWaiting ? (-1, null) : (length, sequence);
    }

    /// <summary>One pass through the model; returns the requests that had to give up their memory, for the queue.</summary>
    public IReadOnlyList<BatchEntry> Step()
    {
        long start = Stopwatch.GetTimestamp();
        _returned.Clear();
        for (int i = _running.Count - 1; i >= 0; i--)
            if (IsOver(_running[i])) End(_running[i]);
        // Not twice in a row: those who generate must go on, however many come.
        _readOnly = !_readOnly && _running.Exists(entry => !entry.IsGenerating && entry.Pending <= ShortContext);
        while (!Plan()) Preempt();
        if (_plan.Count > 0) Compute();
        _steps++;
        _busyTicks += Stopwatch.GetTimestamp() - start;
        (_runningCount, _usedPages) = (_running.Count, session.Cache.UsedPages);
        return _returned;
    }

    /// <summary>Says which tokens go through the model; false if there are too few pages.</summary>
    private bool Plan()
    {
        _plan.Clear();
        _reading.Clear();
        foreach (var entry in _running)
        {
            if (!entry.IsGenerating) _reading.Add(entry);
            else if (!_readOnly) _plan.Add((entry, 1, 0));
        }
        if (options.DraftTokens > 0 && _reading.Count == 0) PlanDrafts();
        _reading.Sort((a, b) => a.Pending.CompareTo(b.Pending));
        int budget = options.PromptTokensPerStep, left = _reading.Count;
        foreach (var entry in _reading)
        {
            int tokens = entry.IsWhole ? entry.Pending : Math.Min(entry.Pending, Math.Max(1, budget / left));
            left--;
            // What does not fit goes with the next step, unless it never will.
            if (tokens > budget && budget < options.PromptTokensPerStep) continue;
            _plan.Add((entry, tokens, 0));
            budget -= tokens;
        }
        while (session.Cache.FreePages < PlannedPages())
            if (!_prefixes.DropOldest()) return false;
        return true;
    }

    private int PlannedPages()
    {
        int pages = 0;
        foreach (var (entry, tokens, drafts) in _plan) pages += entry.Sequence!.NewPages(tokens + drafts);
        return pages;
    }

    /// <summary>Lets requests guess, as long as that costs little: products of few rows take hardly longer than of one.</summary>
    private void PlanDrafts()
    {
        if (_plan.Count == 0) return;
        int each = options.DraftTokens / _plan.Count;
        if (each == 0) return;
        if (draft is not null) draft.Guess(_running, each);
        else foreach (var entry in _running) entry.Guess(each);
        for (int i = 0; i < _plan.Count; i++) _plan[i] = (_plan[i].Entry, 1, _plan[i].Entry.Drafts);
    }

    /// <summary>Takes the memory of the request that is to be served last.</summary>
    private void Preempt()
    {
        var last = _running.MaxBy(entry => entry.Turn)!;
        if (_running.Count == 1) throw new InvalidOperationException($"{session.Cache.FreePages} pages are free, too few for the one request there is");
        Remove(last);
        last.Sequence!.Release();
        _returned.Add(last);
        _preempted++;
    }

    private void Compute()
    {
        if (_inputs.Length < _plan.Count) _inputs = new SessionInput[Math.Max(_plan.Count, options.MaxBatch)];
        for (int i = 0; i < _plan.Count; i++)
        {
            var (entry, tokens, drafts) = _plan[i];
            if (!entry.IsGenerating) _contextTokens += tokens;
            _draftedTokens += drafts;
            _inputs[i] = entry.Next(tokens, drafts);
        }
        Span<float> logits;
        try
        {
            logits = session.Run(_inputs.AsSpan(0, _plan.Count));
        }
        catch (Exception error)
        {
            // Nobody's keys and values are known to be right now.
            foreach (var (entry, _, _) in _plan) Fail(entry, error);
            return;
        }
        int vocabulary = session.Model.VocabSize;
        for (int i = 0; i < _plan.Count; i++)
        {
            var (entry, _, drafts) = _plan[i];
            int count = _inputs[i].LogitRows * vocabulary, before = entry.Length;
            var rows = logits[..count];
            logits = logits[count..];
            if (count == 0) continue;
            try
            {
                if (entry.Take(rows, drafts, _scratch) is { } reason) Finish(entry, reason);
            }
            catch (Exception error)
            {
                Fail(entry, error);
            }
            _newTokens += entry.Length - before;
            if (drafts > 0) _acceptedTokens += Math.Max(0, entry.Length - before - 1);
        }
    }

    private void Remove(BatchEntry entry)
    {
        _running.Remove(entry);
        draft?.Forget(entry);
    }

    /// <summary>Ends all requests with an error.</summary>
    public void FailAll(Exception error)
    {
        foreach (var entry in _running.ToArray()) Fail(entry, error);
    }

    private void Finish(BatchEntry entry, FinishReason reason)
    {
        Remove(entry);
        var sequence = entry.Sequence!;
        if (options.KeptSequences > 0) _prefixes.Keep(entry.Ids[..sequence.Length].ToArray(), entry.Request.Context.Place, sequence);
        else sequence.Release();
        _finished++;
        MeanSeconds += (entry.Finish(reason).Elapsed.TotalSeconds - MeanSeconds) / 16;
    }

    /// <summary>Ends a request whose caller went away, or whose time is over.</summary>
    private void End(BatchEntry entry)
    {
        Remove(entry);
        entry.Sequence?.Release();
        if (!Abandon && entry.IsOverdue && !entry.Cancellation.IsCancellationRequested)
        {
            _finished++;
            entry.Finish(FinishReason.Timeout);
        }
        else
        {
            _cancelled++;
            entry.Cancel();
        }
    }

    private void Fail(BatchEntry entry, Exception error)
    {
        Remove(entry);
        entry.Sequence!.Release();
        _failed++;
        entry.Fail(error);
    }

    private bool IsOver(BatchEntry entry) => Abandon || entry.Cancellation.IsCancellationRequested || entry.IsOverdue;
}
