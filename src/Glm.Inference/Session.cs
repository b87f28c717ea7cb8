using Glm.Distributed;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference;

/// <summary>New tokens of one sequence.</summary>
/// <param name="Sequence">The sequence, with what it holds already.</param>
/// <param name="Ids">Token ids, at least one.</param>
/// <param name="Positions">Position ids, as many.</param>
/// <param name="Division">Length of the bidirectional context, counted from the sequence's first token; 0 is causal attention.</param>
/// <param name="Blocks">Positions inside the blank, as many, for models that have them (<see cref="LanguageModel.PositionAxes"/>).</param>
/// <param name="LogitRows">After how many of the last tokens logits are wanted.</param>
public readonly record struct SessionInput(
    KvCache.Sequence Sequence, ReadOnlyMemory<int> Ids, ReadOnlyMemory<int> Positions, int Division, ReadOnlyMemory<int> Blocks = default, int LogitRows = 1);

/// <summary>
/// A model with the memory that running it takes: activations, cached keys and values, logits on the host. Serves one caller at a time;
/// several sessions may share a model and its threads.
/// </summary>
/// <remarks>
/// The keys and values of a bidirectional context depend on all of it, so a context goes in with one call (spec 1.8); afterwards tokens go in one
/// by one, for as many sequences (beams) at once as there are. A causal model takes a long context in pieces, so that the memory of activations does not
/// grow with it.
/// </remarks>
public sealed class Session
{
    /// <summary>Tokens of a causal context that go through the model together.</summary>
    private const int PieceTokens = 512;

    private readonly Context _context;
    private readonly LanguageModel.Attend _attend;
    private readonly Action<int, Tensor> _afterLayer;

    // What a step works with, kept so that decoding allocates nothing.
    private int[] _ids = [], _positions = [], _blocks = [], _rows = [];
    private CachedSequence[] _sequences = [];
    private int _count, _rowCount;
    private CancellationToken _cancellation;
    private float[] _logits = [];
    private readonly ProcessGroup? _followers;

    /// <summary>A session over a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="activationType">How activations are stored.</param>
    /// <param name="cacheType">How keys and values are stored.</param>
    /// <param name="maxPages">Most pages of keys and values (<see cref="KvCache.MaxPages"/>).</param>
    public Session(LanguageModel model, Workers workers, DType activationType = DType.Float32, DType cacheType = DType.Float32, int maxPages = int.MaxValue)
    {
        Model = model;
        _context = new Context(workers, activationType) { InputBits = model.InputBits };
        CacheType = cacheType;
        Cache = new KvCache(model.NumLayers, model.Heads, cacheType) { MaxPages = maxPages };
        if (model.VirtualTokens is { } tokens) Cache.BeginWith(_context, tokens);
        _attend = (qkv, layer) => _context.CachedAttention(qkv, Model.Heads, Cache.Pages(layer), _sequences.AsSpan(0, _count), Model.Slopes);
        _afterLayer = (_, _) => _cancellation.ThrowIfCancellationRequested();
    }

    /// <summary>The model.</summary>
    public LanguageModel Model { get; }

    /// <summary>How keys and values are stored.</summary>
    public DType CacheType { get; }

    /// <summary>Keys and values; <see cref="KvCache.Add"/> begins a sequence, <see cref="KvCache.Sequence.Release"/> ends it.</summary>
    public KvCache Cache { get; }

    /// <summary>Processes with the other shares of the model, which <see cref="Follow"/> what this one, the first, runs; null where each runs the same by itself.</summary>
    public ProcessGroup? Followers
    {
        get => _followers;
        init => Cache.IsFollowed = (_followers = value is { Size: > 1 } ? value : null) is not null;
    }

    /// <summary>Whether other processes follow, which are lost if a computation fails half-way.</summary>
    public bool IsFollowed => _followers is not null;

    /// <summary>Tokens that went through the model.</summary>
    public long Tokens { get; private set; }

    /// <summary>Runs new tokens of some sequences through the model and appends them to the cache.</summary>
    /// <param name="inputs">One entry per sequence.</param>
    /// <param name="allTokens">Whether logits are wanted after every token, whatever the inputs say (<see cref="SessionInput.LogitRows"/>).</param>
    /// <param name="cancellation">Ends the computation between two layers; the sequences must then be released.</param>
    /// <returns>
    /// Logits <c>[wanted rows, vocabulary]</c> in the order of the inputs. They lie in a buffer of the session, which the caller may
    /// overwrite and the next call does.
    /// </returns>
    /// <exception cref="GlmException">An id or a position lies outside the model, or a causal model is given a bidirectional context.</exception>
    public Span<float> Run(ReadOnlySpan<SessionInput> inputs, bool allTokens = false, CancellationToken cancellation = default)
    {
        if (allTokens && IsFollowed) throw new InvalidOperationException("those that follow compute wanted rows alone");
        if (Model.IsCausal && !allTokens)
            foreach (var input in inputs)
                if (input.Ids.Length > PieceTokens)
                {
                    inputs = RunBeginnings(inputs, cancellation);
                    break;
                }
        var hidden = Forward(inputs, cancellation);
        if (allTokens) return ToHost(Model.Logits(_context, hidden));
        return _rowCount == 0 ? [] : ToHost(Model.Logits(_context, _context.SelectRows(hidden, _context.Integers(_rows.AsSpan(0, _rowCount)))));
    }

    /// <summary>Runs all but the last piece of long contexts; returns what is left.</summary>
    private SessionInput[] RunBeginnings(ReadOnlySpan<SessionInput> inputs, CancellationToken cancellation)
    {
        SessionInput[] rest = inputs.ToArray();
        for (int i = 0; i < rest.Length; i++)
            while (rest[i].Ids.Length >= PieceTokens + Math.Max(1, rest[i].LogitRows))
            {
                var (ids, positions) = (rest[i].Ids, rest[i].Positions);
                if (ids.Length != positions.Length) break; // refused below
                Forward([rest[i] with { Ids = ids[..PieceTokens], Positions = positions[..PieceTokens], LogitRows = 0 }], cancellation);
                rest[i] = rest[i] with { Ids = ids[PieceTokens..], Positions = positions[PieceTokens..] };
            }
        return rest;
    }

    /// <summary>Hidden states of new tokens, which are appended to the cache.</summary>
    private Tensor Forward(ReadOnlySpan<SessionInput> inputs, CancellationToken cancellation)
    {
        int tokens = 0;
        foreach (var input in inputs) tokens += input.Ids.Length;
        Reserve(tokens, inputs.Length);
        _rowCount = 0;
        for (int i = 0, row = 0; i < inputs.Length; i++)
        {
            var input = inputs[i];
            if (input.Ids.IsEmpty || input.Ids.Length != input.Positions.Length)
                throw new ArgumentException($"{input.Ids.Length} ids and {input.Positions.Length} positions", nameof(inputs));
            if (input.Blocks.Length != (Model.PositionAxes == 2 ? input.Ids.Length : 0))
                throw new ArgumentException($"{input.Blocks.Length} positions inside the blank for {input.Ids.Length} ids of a model with {Model.PositionAxes} axes", nameof(inputs));
            if (Model.IsCausal && input.Division > 1) throw new GlmException($"division: expected 0, since the model is causal, found {input.Division}");
            input.Ids.Span.CopyTo(_ids.AsSpan(row));
            input.Positions.Span.CopyTo(_positions.AsSpan(row));
            input.Blocks.Span.CopyTo(_blocks.AsSpan(row));
            _sequences[i] = input.Sequence.Append(row, input.Ids.Length, input.Division);
            row += input.Ids.Length;
            for (int wanted = Math.Min(input.LogitRows, input.Ids.Length); wanted > 0; wanted--) _rows[_rowCount++] = row - wanted;
        }
        Tokens += tokens;
        _count = inputs.Length;
        _cancellation = cancellation;
        if (_followers is not null) SessionStep.Tell(_followers, new SessionStep(_ids[..tokens], _positions[..tokens], Model.PositionAxes == 2 ? _blocks[..tokens] : [], _rows[.._rowCount], _sequences[.._count], Cache.TakeCopied()));
        return Forward(tokens);
    }

    private Tensor Forward(int tokens)
    {
        _context.Reset();
        var ids = _context.Integers(_ids.AsSpan(0, tokens));
        var positions = new Positions(_context.Integers(_positions.AsSpan(0, tokens)), Model.PositionAxes == 2 ? _context.Integers(_blocks.AsSpan(0, tokens)) : null);
        return Model.Forward(_context, ids, positions, _attend, _afterLayer);
    }

    /// <summary>Computes this process' share of what the first one runs, until that one ends (<see cref="EndFollowing"/>).</summary>
    /// <param name="ranks">The processes that share the model.</param>
    public void Follow(ProcessGroup ranks)
    {
        while (SessionStep.Hear(ranks) is { } step)
        {
            Cache.Follow(step.Sequences.Max(sequence => sequence.Pages.Max()) + 1, step.Copied);
            (_ids, _positions, _blocks, _sequences, _count) = (step.Ids, step.Positions, step.Blocks, step.Sequences, step.Sequences.Length);
            var hidden = Forward(step.Ids.Length);
            if (step.Rows.Length > 0) Model.Logits(_context, _context.SelectRows(hidden, _context.Integers(step.Rows)));
        }
    }

    /// <summary>Lets the processes go that follow.</summary>
    public void EndFollowing()
    {
        if (_followers is not null) SessionStep.Tell(_followers, null);
    }

    private void Reserve(int tokens, int sequences)
    {
        if (_ids.Length < tokens) (_ids, _positions, _blocks, _rows) = (new int[tokens], new int[tokens], new int[tokens], new int[tokens]);
        if (_sequences.Length < sequences) _sequences = new CachedSequence[sequences];
    }

    private Span<float> ToHost(Tensor logits)
    {
        int count = checked((int)logits.Count);
        if (_logits.Length < count) _logits = new float[count];
        logits.CopyTo(_logits.AsSpan(0, count));
        return _logits.AsSpan(0, count);
    }
}
