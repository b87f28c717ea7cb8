using System.Runtime.InteropServices;

namespace Glm.Tokenizers;

/// <summary>
/// Byte-pair encoding of whole words: their bytes are tokens, and neighbours are merged, lowest rank first and leftmost among equals, until no
/// pair of neighbours has a rank. A word of n bytes takes O(n log n).
/// </summary>
internal sealed class BytePairEncoder
{
    /// <summary>Nodes beyond which the memory is not kept for the next call.</summary>
    private const int MaximumKept = 1 << 16;

    /// <summary>A token of the word, linked to its neighbours (-1 at the ends); its id is -1 after it was merged away.</summary>
    private record struct Node(int Id, int Previous, int Next);

    /// <summary>Two neighbours that may be merged, as they were when this was found.</summary>
    private readonly record struct Pair(int Left, int Right, int LeftId, int RightId, int Merged);

    private readonly int[] _bytes;
    private readonly Dictionary<ulong, BytePairMerge> _merges;
    private Scratch? _scratch;

    /// <param name="bytes">The id of each byte alone.</param>
    /// <param name="merges">By <see cref="Key"/>, what two tokens make together.</param>
    public BytePairEncoder(int[] bytes, Dictionary<ulong, BytePairMerge> merges) => (_bytes, _merges) = (bytes, merges);

    /// <summary>Two ids as a key of merges.</summary>
    public static ulong Key(int left, int right) => (ulong)(uint)left << 32 | (uint)right;

    /// <summary>Appends the ids of a word.</summary>
    public void Encode(ReadOnlySpan<byte> word, List<int> ids)
    {
        if (word.IsEmpty) return;
        // One caller at a time gets the kept memory, others work in memory of their own.
        var scratch = Interlocked.Exchange(ref _scratch, null) ?? new Scratch();
        CollectionsMarshal.SetCount(scratch.Nodes, word.Length);
        var nodes = CollectionsMarshal.AsSpan(scratch.Nodes);
        for (int i = 0; i < word.Length; i++) nodes[i] = new Node(_bytes[word[i]], i - 1, i + 1 < word.Length ? i + 1 : -1);
        for (int i = 1; i < word.Length; i++) Consider(i - 1, i, nodes, scratch.Agenda);
        while (scratch.Agenda.TryDequeue(out var pair, out _))
        {
            ref Node left = ref nodes[pair.Left], right = ref nodes[pair.Right];
            // One of the two may have been merged since.
            if (left.Id != pair.LeftId || left.Next != pair.Right || right.Id != pair.RightId) continue;
            left.Id = pair.Merged;
            left.Next = right.Next;
            right.Id = -1;
            if (left.Next >= 0)
            {
                nodes[left.Next].Previous = pair.Left;
                Consider(pair.Left, left.Next, nodes, scratch.Agenda);
            }
            if (left.Previous >= 0) Consider(left.Previous, pair.Left, nodes, scratch.Agenda);
        }
        for (int i = 0; i >= 0; i = nodes[i].Next) ids.Add(nodes[i].Id);
        if (scratch.Nodes.Capacity <= MaximumKept) _scratch = scratch;
    }

    private void Consider(int left, int right, ReadOnlySpan<Node> nodes, PriorityQueue<Pair, long> agenda)
    {
        int leftId = nodes[left].Id, rightId = nodes[right].Id;
        if (_merges.TryGetValue(Key(leftId, rightId), out var merge))
            agenda.Enqueue(new Pair(left, right, leftId, rightId, merge.Id), (long)merge.Rank << 32 | (uint)left);
    }

    private sealed class Scratch
    {
        public List<Node> Nodes { get; } = [];

        public PriorityQueue<Pair, long> Agenda { get; } = new();
    }
}

/// <summary>What two tokens make together.</summary>
/// <param name="Rank">Lower ranks are merged first.</param>
/// <param name="Id">The id of both together.</param>
internal readonly record struct BytePairMerge(int Rank, int Id);
