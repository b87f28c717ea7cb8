using Glm.Models;

namespace Glm.Inference;

/// <summary>
/// Finished sequences whose keys and values later requests may begin with. Causal models share any beginning; keys and values of a bidirectional context
/// depend on all of it, so only the same whole context is shared.
/// </summary>
/// <param name="capacity">Most sequences.</param>
internal sealed class PrefixStore(int capacity)
{
    private readonly LinkedList<Kept> _kept = new(); // the one that was used last is first

    /// <summary>Number of sequences.</summary>
    public int Count => _kept.Count;

    /// <summary>How many tokens of a request have the keys and values of another's beginning; its last token always has to be computed.</summary>
    public static int CommonLength(ReadOnlySpan<int> ids, BlankPlace place, ReadOnlySpan<int> other, BlankPlace otherPlace)
    {
        int common = Math.Min(ids.CommonPrefixLength(other), ids.Length - 1);
        bool whole = place.Division > 1 || otherPlace.Division > 1;
        return whole && (place != otherPlace || common < place.Division) ? 0 : common;
    }

    /// <summary>The longest beginning of a request that is kept, and the sequence that holds it.</summary>
    public (int Length, KvCache.Sequence? Sequence) Find(ReadOnlySpan<int> ids, BlankPlace place)
    {
        LinkedListNode<Kept>? best = null;
        int length = 0;
        for (var node = _kept.First; node is not null; node = node.Next)
            if (CommonLength(ids, place, node.Value.Ids, node.Value.Place) is var common && common > length) (best, length) = (node, common);
        if (best is null) return (0, null);
        _kept.Remove(best);
        _kept.AddFirst(best);
        return (length, best.Value.Sequence);
    }

    /// <summary>Keeps a sequence, which belongs to the store from now on; what it makes superfluous is given back.</summary>
    public void Keep(int[] ids, BlankPlace place, KvCache.Sequence sequence)
    {
        for (var node = _kept.First; node is not null;)
        {
            var next = node.Next;
            if (node.Value.Place == place && node.Value.Ids.AsSpan().StartsWith(ids))
            {
                sequence.Release();
                return;
            }
            if (node.Value.Place == place && ids.AsSpan().StartsWith(node.Value.Ids)) Drop(node);
            node = next;
        }
        _kept.AddFirst(new Kept(ids, place, sequence));
        while (_kept.Count > capacity) Drop(_kept.Last!);
    }

    /// <summary>Gives back the sequence that was not used for longest; false where there is none.</summary>
    public bool DropOldest()
    {
        if (_kept.Last is not { } oldest) return false;
        Drop(oldest);
        return true;
    }

    private void Drop(LinkedListNode<Kept> node)
    {
        node.Value.Sequence.Release();
        _kept.Remove(node);
    }

    private sealed record Kept(int[] Ids, BlankPlace Place, KvCache.Sequence Sequence);
}
