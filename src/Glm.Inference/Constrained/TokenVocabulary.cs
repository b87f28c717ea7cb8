using System.Collections.Concurrent;
using Glm.Tokenizers;

namespace Glm.Inference;

/// <summary>
/// The bytes of all tokens of a vocabulary as a tree, in which a constraint finds at once all tokens that may come. Made when it is first needed. Safe for use from
/// several threads.
/// </summary>
/// <param name="tokenizer">The vocabulary.</param>
/// <param name="count">Number of the model's logits.</param>
public sealed class TokenVocabulary(Tokenizer tokenizer, int count)
{
    private const int RememberedConstraints = 32;

    private readonly Lazy<Node> _root = new(() => Build(tokenizer));
    private readonly ConcurrentDictionary<TextConstraint, Automaton> _automata = new();

    /// <summary>Number of the model's logits.</summary>
    internal int Count => count;

    /// <summary>The bytes of a token; none of a row that is padding.</summary>
    internal byte[] BytesOf(int id) => id < tokenizer.VocabularySize ? tokenizer.TokenBytes(id) : [];

    /// <summary>The tree.</summary>
    internal Node Root => _root.Value;

    /// <summary>The automaton of a constraint, which requests with the same one share.</summary>
    internal Automaton AutomatonOf(TextConstraint constraint)
    {
        if (_automata.Count > RememberedConstraints) _automata.Clear();
        return _automata.GetOrAdd(constraint, wanted => new Automaton(wanted.Compile(), this));
    }

    private static Node Build(Tokenizer tokenizer)
    {
        var root = new Node();
        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            var node = root;
            foreach (byte value in tokenizer.TokenBytes(id)) node = node.Child(value);
            if (node != root) node.Tokens.Add(id);
        }
        root.Freeze();
        return root;
    }

    /// <summary>A beginning that tokens share.</summary>
    internal sealed class Node
    {
        private readonly SortedDictionary<byte, Node> _growing = [];

        /// <summary>The tokens that end here.</summary>
        public List<int> Tokens { get; } = [];

        /// <summary>The longer beginnings, by their next byte.</summary>
        public (byte Value, Node Next)[] Children { get; private set; } = [];

        public Node Child(byte value)
        {
            if (!_growing.TryGetValue(value, out var child)) _growing.Add(value, child = new Node());
            return child;
        }

        public void Freeze()
        {
            Children = [.. _growing.Select(entry => (entry.Key, entry.Value))];
            _growing.Clear();
            foreach (var (_, next) in Children) next.Freeze();
        }
    }
}
