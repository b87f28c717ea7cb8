using System.Numerics;

namespace Glm.Inference;

/// <summary>
/// A grammar made deterministic as far as it is walked, with the tokens that may come in each state. Walked by one thread at a time; requests that share it take turns.
/// </summary>
internal sealed class Automaton
{
    private const int Unknown = -2, Dead = -1, MaximumMasks = 4096;

    private readonly Lock _lock = new();
    private readonly Grammar _grammar;
    private readonly int _end;
    private readonly TokenVocabulary _vocabulary;
    private readonly Dictionary<string, int> _known = [];
    private readonly List<int[]> _sets = [], _next = [];
    private readonly Dictionary<int, ulong[]> _masks = [];

    public Automaton((Grammar Grammar, Grammar.Part Whole) compiled, TokenVocabulary vocabulary)
    {
        (_grammar, _end, _vocabulary) = (compiled.Grammar, compiled.Whole.End, vocabulary);
        Start = StateOf([compiled.Whole.Begin]);
    }

    /// <summary>The state of the empty text.</summary>
    public int Start { get; }

    /// <summary>Whether a text may end in a state.</summary>
    public bool MayEnd(int state)
    {
        lock (_lock) return Array.BinarySearch(_sets[state], _end) >= 0;
    }

    /// <summary>The state after some bytes; negative where they must not come.</summary>
    public int After(int state, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            foreach (byte value in bytes)
                if ((state = Step(state, value)) < 0) return Dead;
            return state;
        }
    }

    /// <summary>The tokens that may come in a state, a bit for each.</summary>
    public ulong[] Mask(int state)
    {
        lock (_lock)
        {
            if (_masks.TryGetValue(state, out var mask)) return mask;
            if (_masks.Count >= MaximumMasks) _masks.Clear();
            mask = new ulong[(_vocabulary.Count + 63) / 64];
            Allow(_vocabulary.Root, state, mask);
            return _masks[state] = mask;
        }
    }

    private void Allow(TokenVocabulary.Node node, int state, ulong[] mask)
    {
        foreach (var (value, next) in node.Children)
        {
            int after = Step(state, value);
            if (after < 0) continue;
            foreach (int id in next.Tokens) mask[id / 64] |= 1UL << (id % 64);
            Allow(next, after, mask);
        }
    }

    private int Step(int state, byte value)
    {
        int known = _next[state][value];
        if (known != Unknown) return known;
        var targets = new List<int>();
        foreach (int s in _sets[state])
            foreach (var (first, last, to) in _grammar.Bytes(s))
                if (value >= first && value <= last) targets.Add(to);
        return _next[state][value] = targets.Count == 0 ? Dead : StateOf(targets);
    }

    /// <summary>The state that a set of the grammar's states is, with all that they reach without a byte.</summary>
    private int StateOf(List<int> states)
    {
        var closed = new SortedSet<int>();
        var open = new Stack<int>(states);
        while (open.TryPop(out int state))
            if (closed.Add(state))
                foreach (int next in _grammar.Empty(state)) open.Push(next);
        // Only states that bytes leave, and the last one, make a difference.
        int[] set = [.. closed.Where(state => state == _end || _grammar.Bytes(state).Count > 0)];
        string key = string.Join(',', set);
        if (_known.TryGetValue(key, out int known)) return known;
        _sets.Add(set);
        int[] next256 = new int[256];
        Array.Fill(next256, Unknown);
        _next.Add(next256);
        _known.Add(key, _sets.Count - 1);
        return _sets.Count - 1;
    }
}

/// <summary>A text that obeys an automaton, as far as it was generated.</summary>
internal sealed class AutomatonConstraint(Automaton automaton, TokenVocabulary vocabulary, Func<int, byte[]> bytesOf, IReadOnlyList<int> ends) : ITokenConstraint
{
    private int _state = automaton.Start;

    public void Mask(Span<float> logits)
    {
        ulong[] mask = automaton.Mask(_state);
        bool mayEnd = automaton.MayEnd(_state), any = mayEnd && ends.Count > 0;
        Span<float> endLogits = stackalloc float[ends.Count];
        for (int i = 0; i < ends.Count; i++) endLogits[i] = logits[ends[i]];
        for (int word = 0; word < mask.Length; word++)
        {
            ulong allowed = mask[word];
            any |= allowed != 0;
            if (allowed == ulong.MaxValue) continue;
            int first = word * 64, count = Math.Min(64, vocabulary.Count - first);
            if (allowed == 0) logits.Slice(first, count).Fill(LogitMath.Forbidden);
            else
                for (ulong rest = ~allowed; rest != 0; rest &= rest - 1)
                    if (first + BitOperations.TrailingZeroCount(rest) is var id && id < vocabulary.Count) logits[id] = LogitMath.Forbidden;
        }
        for (int i = 0; i < ends.Count; i++) logits[ends[i]] = mayEnd ? endLogits[i] : LogitMath.Forbidden;
        if (!any) throw new GlmException("constraint: expected one that the vocabulary can spell, found no token that may come next");
    }

    public void Accept(int token)
    {
        _state = automaton.After(_state, bytesOf(token));
        if (_state < 0) throw new InvalidOperationException($"token {token} was chosen though it must not come");
    }
}
