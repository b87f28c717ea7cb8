using System.Runtime.InteropServices;

namespace Glm.Tokenizers;

/// <summary>
/// Byte-pair merging as SentencePiece does it: characters (and whole user-defined pieces) are merged with a neighbour where the
/// union is a piece, best score first and leftmost among equals. Pieces marked unused take part and are split again at the end.
/// </summary>
internal sealed class BpeSegmenter : Segmenter
{
    /// <summary>
    /// A stretch of the text, linked to its neighbours (-1 at the ends), with its node in the trie (or -1); its length is 0 after
    /// it was merged away. A frozen one is a user-defined piece and stays whole.
    /// </summary>
    internal record struct Symbol(int Start, int Length, int Previous, int Next, int Node, bool Frozen);

    /// <summary>Two neighbours whose union is a piece.</summary>
    internal readonly record struct Pair(float Score, int Left, int Right, int Length);

    private readonly Vocabulary _vocabulary;
    private readonly DoubleArray _trie;
    private readonly DoubleArray? _userDefined;
    private readonly bool _hasUnused;

    /// <exception cref="GlmException">The model has no pieces that text could become.</exception>
    public BpeSegmenter(Vocabulary vocabulary, DoubleArray? userDefined, string file)
    {
        _vocabulary = vocabulary;
        _userDefined = userDefined;
        _trie = vocabulary.TrieOf(PieceType.Normal, PieceType.UserDefined, PieceType.Unused)
            ?? throw new GlmException($"{file}: pieces: expected some of type normal, found none");
        for (int id = 0; id < vocabulary.Count; id++) _hasUnused |= vocabulary[id].Type == PieceType.Unused;
    }

    public override void Segment(ReadOnlySpan<byte> text, EncodingScratch scratch, List<int> ids)
    {
        if (text.IsEmpty) return;
        List<Pair> agenda = scratch.Agenda;
        agenda.Clear();
        Dictionary<int, int>? splits = _hasUnused ? [] : null;
        Span<Symbol> symbols = Split(text, scratch.Symbols);
        for (int i = 1; i < symbols.Length; i++) Consider(i - 1, i, text, symbols, agenda, splits);
        while (agenda.Count > 0)
        {
            Pair top = Heap.Pop(agenda);
            ref Symbol left = ref symbols[top.Left], right = ref symbols[top.Right];
            // One of the two may have been merged since.
            if (left.Length == 0 || right.Length == 0 || left.Length + right.Length != top.Length) continue;
            left.Node = _trie.Walk(left.Node, text.Slice(right.Start, right.Length));
            left.Length = top.Length;
            left.Next = right.Next;
            if (right.Next >= 0) symbols[right.Next].Previous = top.Left;
            right.Length = 0;
            if (left.Previous >= 0) Consider(left.Previous, top.Left, text, symbols, agenda, splits);
            if (left.Next >= 0) Consider(top.Left, left.Next, text, symbols, agenda, splits);
        }
        bool afterUnknown = false;
        for (int i = 0; i >= 0; i = symbols[i].Next)
            Append(text.Slice(symbols[i].Start, symbols[i].Length), splits, ids, ref afterUnknown);
    }

    private Span<Symbol> Split(ReadOnlySpan<byte> text, List<Symbol> symbols)
    {
        symbols.Clear();
        for (int start = 0, length; start < text.Length; start += length)
        {
            length = _userDefined?.LongestPrefix(text[start..]) ?? 0;
            bool frozen = length > 0;
            if (!frozen) length = Math.Min(Utf8.LengthAt(text[start]), text.Length - start);
            int node = _trie.Walk(DoubleArray.Root, text.Slice(start, length));
            symbols.Add(new Symbol(start, length, symbols.Count - 1, symbols.Count + 1, node, frozen));
        }
        Span<Symbol> all = CollectionsMarshal.AsSpan(symbols);
        all[^1].Next = -1;
        return all;
    }

    private void Consider(int left, int right, ReadOnlySpan<byte> text, Span<Symbol> symbols, List<Pair> agenda, Dictionary<int, int>? splits)
    {
        ref Symbol first = ref symbols[left], second = ref symbols[right];
        if (first.Node < 0 || first.Frozen || second.Frozen) return;
        int node = _trie.Walk(first.Node, text.Slice(second.Start, second.Length));
        int id = node < 0 ? -1 : _trie.ValueAt(node);
        if (id < 0) return;
        Heap.Push(agenda, new Pair(_vocabulary[id].Score, left, right, first.Length + second.Length));
        if (splits is not null && _vocabulary[id].Type == PieceType.Unused) splits[id] = first.Length;
    }

    private void Append(ReadOnlySpan<byte> piece, Dictionary<int, int>? splits, List<int> ids, ref bool afterUnknown)
    {
        int node = _trie.Walk(DoubleArray.Root, piece);
        int id = node < 0 ? -1 : _trie.ValueAt(node);
        if (id < 0) id = _vocabulary.UnknownId;
        if (splits is not null && _vocabulary[id].Type == PieceType.Unused && splits.TryGetValue(id, out int cut))
        {
            Append(piece[..cut], splits, ids, ref afterUnknown);
            Append(piece[cut..], splits, ids, ref afterUnknown);
        }
        else
            _vocabulary.Append(id, piece, ids, ref afterUnknown);
    }

    /// <summary>A binary heap in a list, the best pair first.</summary>
    private static class Heap
    {
        private static bool IsBetter(in Pair a, in Pair b) => a.Score > b.Score || (a.Score == b.Score && a.Left < b.Left);

        public static void Push(List<Pair> heap, Pair pair)
        {
            heap.Add(pair);
            Span<Pair> items = CollectionsMarshal.AsSpan(heap);
            int hole = items.Length - 1;
            for (int parent; hole > 0 && IsBetter(pair, items[parent = (hole - 1) / 2]); hole = parent) items[hole] = items[parent];
            items[hole] = pair;
        }

        public static Pair Pop(List<Pair> heap)
        {
            Span<Pair> items = CollectionsMarshal.AsSpan(heap);
            Pair top = items[0], last = items[^1];
            items = items[..^1];
            int hole = 0;
            for (int child; (child = 2 * hole + 1) < items.Length; hole = child)
            {
                if (child + 1 < items.Length && IsBetter(items[child + 1], items[child])) child++;
                if (!IsBetter(items[child], last)) break;
                items[hole] = items[child];
            }
            if (!items.IsEmpty) items[hole] = last;
            heap.RemoveAt(heap.Count - 1);
            return top;
        }
    }
}
