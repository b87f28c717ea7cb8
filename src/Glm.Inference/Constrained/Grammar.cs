namespace Glm.Inference;

/// <summary>
/// A nondeterministic automaton over bytes, put together from parts. Every part leads from where it begins to where it ends, and no state is a dead end, so that
/// whatever was begun can be finished.
/// </summary>
internal sealed class Grammar
{
    /// <summary>States of one grammar: beyond that, it is refused.</summary>
    private const int MaximumStates = 1 << 20;

    private readonly List<List<(byte First, byte Last, int To)>> _bytes = [];
    private readonly List<List<int>> _empty = [];

    /// <summary>A part of a grammar: where it begins and ends.</summary>
    public readonly record struct Part(int Begin, int End);

    /// <summary>Number of states.</summary>
    public int Count => _bytes.Count;

    /// <summary>The states that a byte leads to.</summary>
    public IReadOnlyList<(byte First, byte Last, int To)> Bytes(int state) => _bytes[state];

    /// <summary>The states that are reached without a byte.</summary>
    public IReadOnlyList<int> Empty(int state) => _empty[state];

    /// <summary>A new state.</summary>
    public int State()
    {
        if (Count == MaximumStates) throw new GlmException("constraint: expected a simpler one, found more than a million states");
        _bytes.Add([]);
        _empty.Add([]);
        return Count - 1;
    }

    /// <summary>Lets one state lead to another without a byte.</summary>
    public void Link(int from, int to) => _empty[from].Add(to);

    /// <summary>Nothing at all.</summary>
    public Part Nothing() => State() is var state ? new Part(state, state) : default;

    /// <summary>These words, as they are.</summary>
    public Part Text(string text)
    {
        var part = Nothing();
        int at = part.Begin;
        foreach (byte value in System.Text.Encoding.UTF8.GetBytes(text))
        {
            int next = State();
            _bytes[at].Add((value, value, next));
            at = next;
        }
        return part with { End = at };
    }

    /// <summary>One character out of ranges of code points.</summary>
    public Part Character(IEnumerable<(int First, int Last)> ranges)
    {
        int begin = State(), end = State();
        foreach (var (first, last) in ranges)
            foreach (var sequence in Utf8Ranges.Of(first, last))
            {
                int at = begin;
                for (int i = 0; i < sequence.Length; i++)
                {
                    int next = i == sequence.Length - 1 ? end : State();
                    _bytes[at].Add((sequence[i].First, sequence[i].Last, next));
                    at = next;
                }
            }
        return new Part(begin, end);
    }

    /// <summary>One part after the other.</summary>
    public Part Sequence(params ReadOnlySpan<Part> parts)
    {
        if (parts.IsEmpty) return Nothing();
        for (int i = 1; i < parts.Length; i++) Link(parts[i - 1].End, parts[i].Begin);
        return new Part(parts[0].Begin, parts[^1].End);
    }

    /// <summary>Any one of the parts.</summary>
    public Part Either(params ReadOnlySpan<Part> parts)
    {
        int begin = State(), end = State();
        foreach (var part in parts)
        {
            Link(begin, part.Begin);
            Link(part.End, end);
        }
        return new Part(begin, end);
    }

    /// <summary>A part or nothing.</summary>
    public Part Optional(Part part) => Either(part, Nothing());

    /// <summary>Something between a least and a most number of times.</summary>
    /// <param name="make">Makes it; called for each copy.</param>
    /// <param name="least">The least number.</param>
    /// <param name="most">The most; null for no limit.</param>
    public Part Repeat(Func<Part> make, int least, int? most)
    {
        int begin = State(), at = begin, end = State();
        for (int i = 0; i < least; i++) at = Then(at, make());
        if (most is null)
        {
            int loop = State();
            Link(at, loop);
            Link(Then(loop, make()), loop);
            Link(loop, end);
            return new Part(begin, end);
        }
        for (int i = least; i < most; i++)
        {
            Link(at, end);
            at = Then(at, make());
        }
        Link(at, end);
        return new Part(begin, end);
    }

    private int Then(int from, Part part)
    {
        Link(from, part.Begin);
        return part.End;
    }
}
