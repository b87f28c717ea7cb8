namespace Glm.Tokenizers;

/// <summary>
/// A trie over byte strings in which one step costs one array access: the child of node s under byte c is t = base(s) XOR c,
/// and it exists when parent(t) = s (Aoe 1989, with XOR in place of addition so that siblings share a block of 256).
/// </summary>
internal sealed class DoubleArray
{
    /// <summary>One node.</summary>
    /// <param name="Base">Where its children are; 0 for a leaf, whose probes find no child of its own.</param>
    /// <param name="Parent">Index of the parent, -1 for the root and for free places.</param>
    /// <param name="Value">Value of the key that ends here, or -1.</param>
    public readonly record struct Node(int Base, int Parent, int Value);

    public const int Root = 0;
    private readonly Node[] _nodes;

    private DoubleArray(Node[] nodes) => _nodes = nodes;

    /// <summary>All nodes, for loops that take many steps; base XOR byte never leaves the span.</summary>
    public ReadOnlySpan<Node> Nodes => _nodes;

    /// <summary>Builds the trie of <paramref name="keys"/>: none empty, none twice; the value of key i is <paramref name="values"/>[i].</summary>
    public static DoubleArray Build(byte[][] keys, int[] values)
    {
        keys = (byte[][])keys.Clone();
        values = (int[])values.Clone();
        Array.Sort(keys, values, Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b)));
        return new DoubleArray(new DoubleArrayBuilder(keys, values).Build());
    }

    /// <summary>The child of <paramref name="node"/>, or -1.</summary>
    public int Step(int node, byte label)
    {
        int child = _nodes[node].Base ^ label;
        return _nodes[child].Parent == node ? child : -1;
    }

    /// <summary>The node that <paramref name="bytes"/> lead to from <paramref name="node"/>, or -1.</summary>
    public int Walk(int node, ReadOnlySpan<byte> bytes)
    {
        foreach (byte label in bytes)
            if ((node = Step(node, label)) < 0) return -1;
        return node;
    }

    /// <summary>The value of the key that ends at <paramref name="node"/>, or -1.</summary>
    public int ValueAt(int node) => _nodes[node].Value;

    /// <summary>Length of the longest key that <paramref name="text"/> begins with, or 0.</summary>
    public int LongestPrefix(ReadOnlySpan<byte> text)
    {
        int longest = 0, node = Root;
        for (int i = 0; i < text.Length && (node = Step(node, text[i])) >= 0; i++)
            if (_nodes[node].Value >= 0) longest = i + 1;
        return longest;
    }
}
