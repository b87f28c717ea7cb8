using System.Diagnostics;
using Glm.Models;

namespace Glm.Inference;

/// <summary>
/// A request in the engine: its tokens, how many of them the cache holds, and who waits for it. Reading a context, generating, and reading everything again after
/// its pages were taken away are the same to it: tokens that the cache does not hold yet go through the model, and after the last one comes the next.
/// </summary>
internal sealed class BatchEntry
{
    private static readonly TokenProbability[] None = [];

    private readonly LanguageModel _model;
    private readonly SamplingStrategy _strategy;
    private readonly long _arrived = Stopwatch.GetTimestamp();
    private readonly TaskCompletionSource<GenerationResult> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenRegistration _cancelled;
    private readonly Dictionary<int, int> _generated = []; // how often, where that is penalised
    private int[] _ids, _positions, _blocks = [], _drafts = [];
    private int _told; // tokens of the context that were told with their probabilities
    private int? _endToken;
    private float _endLogProbability = float.NaN;
    private TimeSpan _waited, _firstToken;

    /// <param name="request">The request, valid for the model.</param>
    /// <param name="model">The model.</param>
    /// <param name="room">Most new tokens.</param>
    /// <param name="wake">Called when it is cancelled.</param>
    /// <param name="cancellation">Ends it.</param>
    public BatchEntry(GenerationRequest request, LanguageModel model, int room, Action wake, CancellationToken cancellation)
    {
        Request = request;
        Room = room;
        _model = model;
        _strategy = new SamplingStrategy(request.Sampling);
        _strategy.Begin(request.Context.Ids);
        Length = request.Context.Ids.Length;
        _ids = new int[Length + Math.Min(room, 64)];
        _positions = new int[_ids.Length];
        if (model.PositionAxes == 2) _blocks = new int[_ids.Length];
        request.Context.Ids.CopyTo(_ids, 0);
        for (int i = 0; i < Length; i++) Place(i);
        Cancellation = cancellation;
        _cancelled = cancellation.UnsafeRegister(_ => wake(), null);
    }

    public GenerationRequest Request { get; }

    public CancellationToken Cancellation { get; }

    public Task<GenerationResult> Done => _done.Task;

    /// <summary>Its place in the queue.</summary>
    public FairQueue.Turn Turn { get; set; }

    /// <summary>Most new tokens.</summary>
    public int Room { get; }

    /// <summary>What the cache holds of it; null while it waits.</summary>
    public KvCache.Sequence? Sequence { get; set; }

    /// <summary>Tokens of the context whose keys and values were there already.</summary>
    public int Shared { get; private set; }

    /// <summary>Tokens, those of the context and those generated.</summary>
    public int Length { get; private set; }

    public int ContextLength => Request.Context.Ids.Length;

    /// <summary>Tokens that the cache does not hold yet.</summary>
    public int Pending => Length - Sequence!.Length;

    /// <summary>Whether only the token that was generated last is missing.</summary>
    public bool IsGenerating => Pending == 1 && Length > ContextLength;

    public ReadOnlySpan<int> Ids => _ids.AsSpan(0, Length);

    public bool IsOverdue => Request.Timeout is { } limit && Stopwatch.GetElapsedTime(_arrived) > limit;

    /// <summary>Whether its context sees all of itself, so that it goes through the model in one piece.</summary>
    public bool IsWhole => Request.Context.Place.Division > 1;

    /// <summary>Takes a sequence that holds the beginning of its tokens.</summary>
    public void Begin(KvCache.Sequence sequence)
    {
        if (Length == ContextLength) (Shared, _waited) = (sequence.Length, Stopwatch.GetElapsedTime(_arrived));
        Sequence = sequence;
    }

    /// <summary>Tokens that are guessed to come next.</summary>
    public int Drafts { get; private set; }

    /// <summary>Guesses tokens from those there are.</summary>
    public void Guess(int most)
    {
        foreach (int token in PromptLookup.Guess(Ids, BeginGuess(most))) _drafts[Drafts++] = token;
    }

    /// <summary>Begins anew to guess; returns how many tokens may be guessed.</summary>
    public int BeginGuess(int most)
    {
        Drafts = 0;
        most = Math.Max(0, Math.Min(most, Room - (Length - ContextLength) - 1));
        if (_drafts.Length < most) _drafts = new int[most];
        return most;
    }

    /// <summary>Guesses one more token from logits of another model, which are overwritten; false where the text would end.</summary>
    public bool Guess(Span<float> logits)
    {
        foreach (var (id, bias) in Request.LogitBias)
            if (id < logits.Length) logits[id] = Math.Clamp(logits[id] + bias, LogitMath.Forbidden, -LogitMath.Forbidden);
        int token = _strategy.Guess(logits, Drafts);
        if (_strategy.Ends(token)) return false;
        _drafts[Drafts++] = token;
        return true;
    }

    /// <summary>A token, or behind them a guess.</summary>
    public int TokenAt(int index) => index < Length ? _ids[index] : _drafts[index - Length];

    /// <summary>The next tokens for the model.</summary>
    /// <param name="tokens">How many of those that are pending.</param>
    /// <param name="drafts">How many of those that were guessed (<see cref="Drafts"/>), after the last one.</param>
    public SessionInput Next(int tokens, int drafts)
    {
        int start = Sequence!.Length, count = tokens + drafts;
        Reserve(start + count);
        for (int i = 0; i < drafts; i++)
        {
            _ids[Length + i] = _drafts[i];
            Place(Length + i);
        }
        bool last = start + tokens == Length;
        int rows = Request.ContextLogprobs && Length == ContextLength ? tokens : last ? 1 + drafts : 0;
        return new SessionInput(Sequence, _ids.AsMemory(start, count), _positions.AsMemory(start, count), Request.Context.Place.Division,
            _blocks.Length == 0 ? default : _blocks.AsMemory(start, count), rows);
    }

    /// <summary>Takes the logits after the tokens of <see cref="Next"/>, which the cache holds now.</summary>
    /// <param name="logits">One row for each wanted token.</param>
    /// <param name="drafts">Number of guesses among the tokens.</param>
    /// <param name="scratch">A row that is not in use.</param>
    /// <returns>Why it is finished; null while it goes on.</returns>
    public FinishReason? Take(Span<float> logits, int drafts, Span<float> scratch)
    {
        int vocabulary = _model.VocabSize, known = Sequence!.Length - drafts, rows = logits.Length / vocabulary;
        if (Request.ContextLogprobs && Length == ContextLength && !TellContext(logits, known - rows)) return FinishReason.Stop;
        if (known < Length) return null;
        logits = logits[(vocabulary * (rows - 1 - drafts))..];
        for (int row = 0; ; row++)
        {
            var finish = Choose(logits.Slice(row * vocabulary, vocabulary), scratch);
            // A guess that came true was computed as if it had been chosen before.
            if (row < drafts && finish is null && _ids[Length - 1] == _drafts[row]) continue;
            if (row < drafts) Sequence.Truncate(known + row);
            return finish;
        }
    }

    private FinishReason? Choose(Span<float> logits, Span<float> scratch)
    {
        if (Request.TopLogprobs is not null) logits.CopyTo(scratch);
        foreach (var (id, bias) in Request.LogitBias) logits[id] = Math.Clamp(logits[id] + bias, LogitMath.Forbidden, -LogitMath.Forbidden);
        foreach (var (id, times) in _generated) logits[id] -= Request.PresencePenalty + times * Request.FrequencyPenalty;
        Request.Constraint?.Mask(logits);
        int token = _strategy.Step(logits, logits.Length)[0].Token;
        if (Length == ContextLength) _firstToken = Stopwatch.GetElapsedTime(_arrived);
        if (_strategy.Done)
        {
            _endToken = token;
            if (Request.TopLogprobs is not null) _endLogProbability = Told(token, scratch, 0).LogProbability;
            return FinishReason.Stop;
        }
        Request.Constraint?.Accept(token);
        Reserve(Length + 1);
        _ids[Length] = token;
        Place(Length++);
        if (Request.PresencePenalty != 0 || Request.FrequencyPenalty != 0) _generated[token] = _generated.GetValueOrDefault(token) + 1;
        bool goOn = Request.OnToken?.Invoke(Request.TopLogprobs is { } top ? Told(token, scratch, top) : new GeneratedToken(token, float.NaN, None)) ?? true;
        return !goOn ? FinishReason.Stop : Length - ContextLength == Room ? FinishReason.Length : null;
    }

    /// <summary>Tells tokens of the context that follow the rows.</summary>
    private bool TellContext(Span<float> logits, int first)
    {
        if (_told == 0 && !Tell(new GeneratedToken(_ids[0], float.NaN, None, IsContext: true))) return false;
        for (int row = Math.Max(0, _told - first - 1); first + row + 1 < ContextLength && row * _model.VocabSize < logits.Length; row++)
            if (!Tell(Told(_ids[first + row + 1], logits.Slice(row * _model.VocabSize, _model.VocabSize), Request.TopLogprobs ?? 0) with { IsContext = true })) return false;
        return true;
    }

    private bool Tell(GeneratedToken token)
    {
        _told++;
        return Request.OnToken?.Invoke(token) ?? true;
    }

    private static GeneratedToken Told(int token, ReadOnlySpan<float> logits, int top)
    {
        float logSum = (float)LogitMath.LogSumExp(logits);
        return new GeneratedToken(token, logits[token] - logSum, top == 0 ? None : LogitMath.Top(logits, top, logSum));
    }

    public GenerationResult Finish(FinishReason reason)
    {
        var result = new GenerationResult(_ids[ContextLength..Length], reason, _endToken, _endLogProbability, ContextLength, Shared, _waited, _firstToken, Stopwatch.GetElapsedTime(_arrived));
        _cancelled.Unregister();
        _done.TrySetResult(result);
        return result;
    }

    public void Cancel()
    {
        _cancelled.Unregister();
        // The engine gives up what is under way when it closes, whether its caller wants it or not.
        if (Cancellation.IsCancellationRequested) _done.TrySetCanceled(Cancellation);
        else _done.TrySetException(new ObjectDisposedException(nameof(GenerationEngine)));
    }

    public void Fail(Exception error)
    {
        _cancelled.Unregister();
        _done.TrySetException(error);
    }

    private void Place(int index)
    {
        (_positions[index], int block) = _model.PositionOf(index, Request.Context.Place);
        if (_blocks.Length > 0) _blocks[index] = block;
    }

    private void Reserve(int length)
    {
        if (length <= _ids.Length) return;
        int size = Math.Max(length, Math.Min(2 * _ids.Length, ContextLength + Room));
        Array.Resize(ref _ids, size);
        Array.Resize(ref _positions, size);
        if (_blocks.Length > 0) Array.Resize(ref _blocks, size);
    }
}
