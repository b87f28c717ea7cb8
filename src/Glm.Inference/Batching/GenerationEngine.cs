using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference;

/// <summary>
/// Generates for many callers at once with one model: requests join and leave at every step, and one step is one pass through the model over the tokens of all of
/// them (continuous batching). Safe for use from several threads.
/// </summary>
/// <remarks>
/// A thread of its own computes; <see cref="Batch"/> says what a step does. Keys and values lie in pages that requests with a common beginning share, and that
/// are kept after a request as long as nobody needs them. Where pages run out, the request that came last gives its own away and is read again later.
/// </remarks>
public sealed class GenerationEngine : IAsyncDisposable
{
    private readonly BatchingOptions _options;
    private readonly Session _session;
    private readonly Batch _batch;
    private readonly Lock _lock = new();
    private readonly FairQueue _queue = new(); // under the lock, as what follows
    private readonly Queue<Action> _work = new();
    private readonly AutoResetEvent _signal = new(false);
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _closing;
    private long _refused;

    /// <summary>Starts an engine.</summary>
    /// <param name="model">The model.</param>
    /// <param name="workers">Threads to compute with; several engines may share them, but then hold each other up.</param>
    /// <param name="options">How the model is shared.</param>
    /// <param name="cacheType">How keys and values are stored.</param>
    /// <param name="draft">A smaller model of the same vocabulary, which guesses tokens where few requests run (<see cref="BatchingOptions.DraftTokens"/>); they are guessed from the text if null.</param>
    /// <exception cref="GlmException">An option is impossible, or one of the models is causal and the other is not.</exception>
    public GenerationEngine(LanguageModel model, Workers workers, BatchingOptions? options = null, DType cacheType = DType.Float32, LanguageModel? draft = null)
    {
        if (draft is not null && draft.IsCausal != model.IsCausal)
            throw new GlmException($"draft model: expected one that reads {(model.IsCausal ? "from left to right alone" : "its context in both directions")} like the model, found another kind");
        _options = (options ?? new BatchingOptions()).Validated();
        int pages = _options.KvPages ?? BatchingOptions.StandardPages;
        _session = new Session(model, workers, cacheType: cacheType, maxPages: pages);
        _batch = new Batch(_session, _options, draft is null ? null : new DraftModel(new Session(draft, workers, cacheType: cacheType, maxPages: pages)));
        LongestSequence = Math.Min(model.MaxSequenceLength, (pages - _session.Cache.PagesOf(0)) * CachedAttentionOperation.PageTokens);
        _thread = new Thread(Run) { IsBackground = true, Name = "glm engine" };
        _thread.Start();
    }

    /// <summary>The model.</summary>
    public LanguageModel Model => _session.Model;

    /// <summary>Most tokens of a context and what follows it: what the model, and the memory of keys and values, has room for.</summary>
    public int LongestSequence { get; }

    /// <summary>What it has done and is doing.</summary>
    public EngineStatistics Statistics
    {
        get
        {
            lock (_lock) return _batch.Statistics with { Waiting = _queue.Count, Refused = _refused };
        }
    }

    /// <summary>Generates.</summary>
    /// <param name="request">What.</param>
    /// <param name="cancellation">Ends it; what it holds is free for others then.</param>
    /// <exception cref="GlmException">The context is empty or too long, or has a token that the model does not have; an option is impossible.</exception>
    /// <exception cref="QueueFullException">Too many requests are waiting.</exception>
    /// <exception cref="ObjectDisposedException">The engine is closing.</exception>
    public Task<GenerationResult> RunAsync(GenerationRequest request, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        Require(request);
        int room = Math.Min(request.MaxNewTokens, LongestSequence - request.Context.Ids.Length);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closing, this);
            if (_queue.Count >= _options.MaxQueue)
            {
                _refused++;
                throw new QueueFullException(TimeSpan.FromSeconds(Math.Clamp(_batch.MeanSeconds * _queue.Count / _options.MaxBatch, 1, 60)));
            }
            var entry = new BatchEntry(request, Model, room, Wake, cancellation);
            _queue.Add(entry, request.Context.Ids.Length + (double)room);
            Wake();
            return entry.Done;
        }
    }

    /// <summary>Computes something else on the engine's thread, between two steps: what the session's context or threads are needed for.</summary>
    /// <param name="compute">What; what it throws goes to the caller.</param>
    /// <param name="cancellation">Ends it, if it has not begun.</param>
    public Task<T> InvokeAsync<T>(Func<Session, T> compute, CancellationToken cancellation = default)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closing, this);
            _work.Enqueue(() =>
            {
                if (cancellation.IsCancellationRequested) done.TrySetCanceled(cancellation);
                else
                {
                    try
                    {
                        done.TrySetResult(compute(_session));
                    }
                    catch (Exception error)
                    {
                        done.TrySetException(error);
                    }
                }
            });
        }
        Wake();
        return done.Task;
    }

    /// <summary>Takes no more requests and waits for those that were taken.</summary>
    /// <param name="cancellation">Ends the waiting; the requests go on until <see cref="DisposeAsync"/>.</param>
    public Task DrainAsync(CancellationToken cancellation = default)
    {
        lock (_lock) _closing = true;
        Wake();
        return _ended.Task.WaitAsync(cancellation);
    }

    /// <summary>Cancels what is not finished, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock) _closing = true;
        _batch.Abandon = true;
        Wake();
        await _ended.Task.ConfigureAwait(false);
    }

    private void Require(GenerationRequest request)
    {
        int[] ids = request.Context.Ids;
        if (ids.Length == 0) throw new GlmException("prompt: expected some tokens, found none");
        if (ids.Length >= LongestSequence) throw new GlmException($"prompt: expected fewer than {LongestSequence} tokens, found {ids.Length}");
        foreach (int id in ids)
            if ((uint)id >= (uint)Model.VocabSize) throw new GlmException($"prompt: expected ids below {Model.VocabSize}, found {id}");
        if (Model.IsCausal && request.Context.Place.Division > 1) throw new GlmException("prompt: expected a causal context, since the model is causal");
        if (request.MaxNewTokens < 1) throw new GlmException($"max_tokens: expected at least 1, found {request.MaxNewTokens}");
        if (request.TopLogprobs is < 0) throw new GlmException($"logprobs: expected 0 or more, found {request.TopLogprobs}");
        foreach (var (id, bias) in request.LogitBias)
            if ((uint)id >= (uint)Model.VocabSize || !float.IsFinite(bias)) throw new GlmException($"logit_bias: expected a number for an id below {Model.VocabSize}, found {bias} for {id}");
        if (!float.IsFinite(request.PresencePenalty)) throw new GlmException($"presence_penalty: expected a number, found {request.PresencePenalty}");
        if (!float.IsFinite(request.FrequencyPenalty)) throw new GlmException($"frequency_penalty: expected a number, found {request.FrequencyPenalty}");
        request.Sampling.Validated();
    }

    private void Wake() => _signal.Set();

    private void Run()
    {
        while (true)
        {
            bool idle, ending;
            Action? work;
            lock (_lock)
            {
                _batch.Admit(_queue);
                _work.TryDequeue(out work);
                idle = _batch.IsEmpty && work is null;
                ending = _closing && idle && _queue.Count == 0;
            }
            if (ending) break;
            work?.Invoke();
            if (idle)
            {
                _signal.WaitOne();
                continue;
            }
            if (_batch.IsEmpty) continue;
            try
            {
                var returned = _batch.Step();
                lock (_lock)
                    foreach (var entry in returned) _queue.Return(entry);
            }
            catch (Exception error)
            {
                _batch.FailAll(error);
            }
        }
        _ended.SetResult();
    }
}
