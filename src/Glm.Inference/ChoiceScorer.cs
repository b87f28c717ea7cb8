using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference;

/// <summary>A context and what may follow it.</summary>
/// <param name="Context">Token ids; of a prefix-LM, which sees all of them in both directions, with the blank.</param>
/// <param name="Place">The blank that a choice fills; of no meaning in a causal model.</param>
/// <param name="Lead">The token between context and choices, which predicts their first: <c>sop</c>, or the last token of a causal context; null where nothing is before them.</param>
/// <param name="Choices">Token ids of each, at least one.</param>
/// <param name="FromMask">Whether positions of a choice run on from that of the blank (the original's use_multitask_encoding).</param>
public sealed record ContextChoices(int[] Context, BlankPlace Place, int? Lead, IReadOnlyList<int[]> Choices, bool FromMask = false)
{
    /// <summary>Whether all choices are read off one prediction.</summary>
    internal bool IsSingle => Choices.All(choice => choice.Length == 1);

    /// <summary>The choices as the model reads them, each after the context and blind to the others.</summary>
    internal IEnumerable<int[]> Branches => Lead is not { } lead ? Choices.Select(choice => choice[..^1]) : IsSingle ? [[lead]] : Choices.Select(choice => (int[])[lead, .. choice[..^1]]);
}

/// <summary>
/// Log-probabilities of choices (spec 8.4): contexts go through the model together, then all choices, which share the keys and values of their context.
/// What the original lays out as one sequence with a mask between the choices is so computed without the masked part. Serves one caller at a time.
/// </summary>
public sealed class ChoiceScorer
{
    /// <summary>Tokens that go through the model together.</summary>
    public const int BatchTokens = 2048;

    private readonly LanguageModel _model;
    private readonly Context _context;
    private readonly KvCache _cache;

    /// <summary>A scorer over a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="activationType">How activations are stored.</param>
    /// <param name="cacheType">How keys and values are stored.</param>
    public ChoiceScorer(LanguageModel model, Workers workers, DType activationType = DType.Float32, DType cacheType = DType.Float32)
    {
        _model = model;
        _context = new Context(workers, activationType) { InputBits = model.InputBits };
        _cache = new KvCache(model.NumLayers, model.Heads, cacheType);
        if (model.VirtualTokens is { } tokens) _cache.BeginWith(_context, tokens);
    }

    /// <summary>Tokens that went through the model.</summary>
    public long Tokens { get; private set; }

    /// <summary>Sums of the log-probabilities of the tokens of each choice <c>[items][choices]</c>.</summary>
    /// <param name="items">Contexts with their choices.</param>
    /// <param name="shared">So many tokens at the beginning of all contexts are the same, and go through the model once.</param>
    /// <param name="cancellation">Ends it between two passes.</param>
    /// <exception cref="GlmException">An id or a position lies outside the model; or contexts of a prefix-LM are to share their beginning, whose keys and values depend on all of the context.</exception>
    public double[][] Score(IReadOnlyList<ContextChoices> items, int shared = 0, CancellationToken cancellation = default)
    {
        if (shared > 0 && !_model.IsCausal)
            throw new GlmException("model: expected a causal one to compute a shared beginning of contexts once, found one whose context sees all of itself");
        KvCache.Sequence? beginning = null;
        try
        {
            if (shared > 0) Read([(beginning = _cache.Add(), items[0].Context.AsMemory(0, shared), items[0])], cancellation);
            double[][] scores = new double[items.Count][];
            for (int first = 0, end; first < items.Count; first = end)
            {
                int tokens = items[first].Context.Length - shared;
                for (end = first + 1; end < items.Count && tokens + items[end].Context.Length - shared <= BatchTokens; end++) tokens += items[end].Context.Length - shared;
                var batch = items.Skip(first).Take(end - first).ToList();
                Score(batch, beginning, shared, cancellation).CopyTo(scores, first);
            }
            return scores;
        }
        finally
        {
            beginning?.Release();
        }
    }

    private double[][] Score(List<ContextChoices> items, KvCache.Sequence? beginning, int shared, CancellationToken cancellation)
    {
        var contexts = items.Select(_ => beginning?.Fork() ?? _cache.Add()).ToList();
        try
        {
            Read([.. items.Zip(contexts, (item, sequence) => (sequence, (ReadOnlyMemory<int>)item.Context.AsMemory(shared), item)).Where(part => part.Item2.Length > 0)], cancellation);
            double[][] scores = [.. items.Select(item => item.Choices.Select(choice => item.Lead is null ? -Math.Log(_model.VocabSize) : 0).ToArray())];
            var branches = items.SelectMany((item, i) => item.Branches.Select((ids, choice) => new Branch(item, contexts[i], scores[i], ids, item.IsSingle && item.Lead is not null ? null : choice)))
                .Where(branch => branch.Ids.Length > 0).ToList();
            for (int first = 0, end; first < branches.Count; first = end)
            {
                int tokens = branches[first].Ids.Length;
                for (end = first + 1; end < branches.Count && tokens + branches[end].Ids.Length <= BatchTokens; end++) tokens += branches[end].Ids.Length;
                cancellation.ThrowIfCancellationRequested();
                Score(branches.GetRange(first, end - first));
            }
            return scores;
        }
        finally
        {
            foreach (var sequence in contexts) sequence.Release();
        }
    }

    /// <summary>Adds the log-probabilities of what branches predict to the scores of their choices.</summary>
    private void Score(List<Branch> branches)
    {
        var forks = branches.Select(branch => branch.Context.Fork()).ToList();
        try
        {
            var hidden = Forward([.. branches.Select((branch, i) => (forks[i], (ReadOnlyMemory<int>)branch.Ids, branch.Item))]);
            var rows = new List<int>();
            var targets = new List<int>();
            var sums = new List<(double[] Scores, int Choice)>();
            int row = 0;
            foreach (var branch in branches)
            {
                if (branch.Choice is not { } choice)
                    for (int i = 0; i < branch.Item.Choices.Count; i++) Add(row, branch.Item.Choices[i][0], branch.Scores, i);
                else
                    for (int i = 0; i < branch.Ids.Length; i++) Add(row + i, branch.Item.Choices[choice][branch.Item.Lead is null ? i + 1 : i], branch.Scores, choice);
                row += branch.Ids.Length;
            }
            float[] values = TargetScores.Of(_model, _context, hidden, [.. rows], [.. targets]);
            for (int i = 0; i < values.Length; i++) sums[i].Scores[sums[i].Choice] += values[i];

            void Add(int from, int target, double[] scores, int choice)
            {
                rows.Add(from);
                targets.Add(target);
                sums.Add((scores, choice));
            }
        }
        finally
        {
            foreach (var fork in forks) fork.Release();
        }
    }

    /// <summary>Appends tokens of contexts to their sequences; a long causal one goes in piece by piece.</summary>
    private void Read(List<(KvCache.Sequence Sequence, ReadOnlyMemory<int> Ids, ContextChoices Item)> parts, CancellationToken cancellation)
    {
        if (_model.IsCausal)
            for (int i = 0; i < parts.Count; i++)
                while (parts[i].Ids.Length > BatchTokens)
                {
                    cancellation.ThrowIfCancellationRequested();
                    Forward([parts[i] with { Ids = parts[i].Ids[..BatchTokens] }]);
                    parts[i] = parts[i] with { Ids = parts[i].Ids[BatchTokens..] };
                }
        cancellation.ThrowIfCancellationRequested();
        if (parts.Count > 0) Forward(parts);
    }

    /// <summary>Hidden states of new tokens, which are appended to the cache.</summary>
    private Tensor Forward(List<(KvCache.Sequence Sequence, ReadOnlyMemory<int> Ids, ContextChoices Item)> parts)
    {
        int count = parts.Sum(part => part.Ids.Length), row = 0;
        int[] ids = new int[count];
        var places = new (int Token, int Block)[count];
        var cached = new CachedSequence[parts.Count];
        for (int i = 0; i < parts.Count; i++)
        {
            var (sequence, part, item) = parts[i];
            part.CopyTo(ids.AsMemory(row));
            for (int j = 0; j < part.Length; j++) places[row + j] = PositionOf(sequence.Length + j, item);
            cached[i] = sequence.Append(row, part.Length, _model.IsCausal ? 0 : item.Context.Length);
            row += part.Length;
        }
        Tokens += count;
        _context.Reset();
        var positions = new Positions(
            _context.Integers([.. places.Select(place => place.Token)]), _model.PositionAxes == 2 ? _context.Integers([.. places.Select(place => place.Block)]) : null);
        return _model.Forward(_context, _context.Integers(ids), positions, (qkv, layer) => _context.CachedAttention(qkv, _model.Heads, _cache.Pages(layer), cached, _model.Slopes));
    }

    private (int Token, int Block) PositionOf(int index, ContextChoices item) =>
        item.FromMask && !_model.IsCausal && _model.PositionAxes == 1 && index >= item.Context.Length ? (item.Place.Mask + index - item.Context.Length, 0) : _model.PositionOf(index, item.Place);

    /// <summary>What the model reads of a choice; without a number, all choices of the item are read off its last token.</summary>
    private sealed record Branch(ContextChoices Item, KvCache.Sequence Context, double[] Scores, int[] Ids, int? Choice);
}
