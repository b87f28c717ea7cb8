namespace Glm.Tokenizers;

/// <summary>
/// Lays out the nodes of a <see cref="DoubleArray"/>. Free places form a linked list; a node with one child takes the first free
/// place, a node with several tries a bounded number of them before it opens a new block, so building stays linear.
/// </summary>
internal sealed class DoubleArrayBuilder(byte[][] keys, int[] values)
{
    private const int Block = 256, MaximumTries = 128;

    /// <summary>The keys [First, Last) share their first Depth bytes, which lead to Node.</summary>
    private readonly record struct Range(int Node, int First, int Last, int Depth);

    private DoubleArray.Node[] _nodes = [];
    private int[] _nextFree = [], _previousFree = [];
    private int _used, _firstFree = -1, _lastFree = -1;

    public DoubleArray.Node[] Build()
    {
        AddBlock();
        Take(DoubleArray.Root);
        var pending = new Stack<Range>();
        pending.Push(new Range(DoubleArray.Root, 0, keys.Length, 0));
        Span<byte> labels = stackalloc byte[Block];
        Span<int> starts = stackalloc int[Block + 1];
        while (pending.TryPop(out Range range))
        {
            (int node, int first, int last, int depth) = range;
            int value = -1;
            if (first < last && keys[first].Length == depth) value = values[first++];
            int count = 0;
            for (int i = first; i < last; i++)
                if (count == 0 || keys[i][depth] != labels[count - 1])
                {
                    starts[count] = i;
                    labels[count++] = keys[i][depth];
                }
            starts[count] = last;
            int @base = count == 0 ? 0 : FindBase(labels[..count]);
            _nodes[node] = new(@base, _nodes[node].Parent, value);
            for (int i = 0; i < count; i++)
            {
                int child = @base ^ labels[i];
                Take(child);
                _nodes[child] = new(0, node, -1);
                pending.Push(new Range(child, starts[i], starts[i + 1], depth + 1));
            }
        }
        return _nodes.AsSpan(0, _used).ToArray();
    }

    private int FindBase(ReadOnlySpan<byte> labels)
    {
        int tries = labels.Length == 1 ? 1 : MaximumTries;
        for (int place = _firstFree; place >= 0 && tries > 0; place = _nextFree[place], tries--)
            if (AllFree(place ^ labels[0], labels)) return place ^ labels[0];
        return AddBlock();
    }

    private bool AllFree(int @base, ReadOnlySpan<byte> labels)
    {
        foreach (byte label in labels)
            if (!IsFree(@base ^ label)) return false;
        return true;
    }

    // A taken place points to itself.
    private bool IsFree(int place) => _nextFree[place] != place;

    private int AddBlock()
    {
        int start = _used;
        _used += Block;
        if (_used > _nodes.Length)
        {
            int length = Math.Max(_used, _nodes.Length * 2);
            Array.Resize(ref _nodes, length);
            Array.Resize(ref _nextFree, length);
            Array.Resize(ref _previousFree, length);
        }
        for (int place = start; place < _used; place++)
        {
            _nodes[place] = new(0, -1, -1);
            _previousFree[place] = _lastFree;
            _nextFree[place] = -1;
            if (_lastFree >= 0) _nextFree[_lastFree] = place; else _firstFree = place;
            _lastFree = place;
        }
        return start;
    }

    private void Take(int place)
    {
        int previous = _previousFree[place], next = _nextFree[place];
        if (previous >= 0) _nextFree[previous] = next; else _firstFree = next;
        if (next >= 0) _previousFree[next] = previous; else _lastFree = previous;
        _nextFree[place] = place;
    }
}
