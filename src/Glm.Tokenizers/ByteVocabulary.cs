namespace Glm.Tokenizers;

/// <summary>The tokens of a byte-level vocabulary and what merges into what.</summary>
internal sealed class ByteVocabulary
{
    /// <summary>No real token is as long; a bound keeps the table of merges of a hostile file small.</summary>
    public const int LongestToken = 512;

    private readonly Dictionary<int, string> _names = [];
    private readonly Dictionary<byte[], int>? _words;

    private ByteVocabulary(byte[]?[] tokens, int[] singleBytes, Dictionary<ulong, BytePairMerge> merges, Dictionary<byte[], int>? words) =>
        (Tokens, SingleBytes, Merges, _words) = (tokens, singleBytes, merges, words);

    /// <summary>The bytes of each id; null for one that is not made of bytes.</summary>
    public byte[]?[] Tokens { get; }

    /// <summary>The id of each byte alone.</summary>
    public int[] SingleBytes { get; }

    /// <summary>What two tokens make together.</summary>
    public Dictionary<ulong, BytePairMerge> Merges { get; }

    /// <summary>
    /// A vocabulary in which the id of a token is its rank, as in tiktoken: any two neighbours merge whose bytes together are a token, and a word that is one
    /// is not cut.
    /// </summary>
    /// <exception cref="GlmException">A byte or a token is missing, or there twice.</exception>
    public static ByteVocabulary OfRanks(byte[][] tokens, string file)
    {
        var ids = Index(tokens, file);
        var merges = new Dictionary<ulong, BytePairMerge>(4 * tokens.Length);
        var lookup = ids.GetAlternateLookup<ReadOnlySpan<byte>>();
        for (int id = 0; id < tokens.Length; id++)
            for (int cut = 1; cut < tokens[id].Length; cut++)
                if (lookup.TryGetValue(tokens[id].AsSpan(0, cut), out int left) && lookup.TryGetValue(tokens[id].AsSpan(cut), out int right))
                    merges[BytePairEncoder.Key(left, right)] = new BytePairMerge(id, id);
        return new ByteVocabulary(tokens, SinglesOf(ids, file), merges, ids);
    }

    /// <summary>A vocabulary with a list of merges, best first, as GPT-2 has it.</summary>
    /// <param name="tokens">Text and id of every token.</param>
    /// <param name="merges">Two tokens each, and where they stand for messages.</param>
    /// <param name="file">Name of the file of tokens, for messages.</param>
    /// <exception cref="GlmException">An id is impossible or double, a byte is missing, or a merge is not of tokens.</exception>
    public static ByteVocabulary OfMerges(IReadOnlyCollection<KeyValuePair<string, int>> tokens, IEnumerable<(string Left, string Right, string Where)> merges, string file)
    {
        var bytes = new byte[tokens.Count == 0 ? 0 : tokens.Max(token => CheckedId(token, 2 * tokens.Count + 1024, file)) + 1][];
        var names = new Dictionary<int, string>();
        var byText = new Dictionary<string, int>(tokens.Count, StringComparer.Ordinal);
        foreach (var (text, id) in tokens)
        {
            if (!names.TryAdd(id, text)) throw new GlmException($"{file}: \"{text}\": expected an id of its own, found {id}, which \"{names[id]}\" has");
            byText[text] = id;
            bytes[id] = ByteAlphabet.Read(text)!;
        }
        var table = new Dictionary<ulong, BytePairMerge>();
        int rank = 0;
        foreach (var (left, right, where) in merges)
        {
            if (!byText.TryGetValue(left, out int leftId) || !byText.TryGetValue(right, out int rightId) || !byText.TryGetValue(left + right, out int merged))
                throw new GlmException($"{where}: expected two tokens of {file} that make a third, found \"{left}\" and \"{right}\"");
            table.TryAdd(BytePairEncoder.Key(leftId, rightId), new BytePairMerge(rank++, merged));
        }
        var singles = new int[256];
        for (int value = 0; value < 256; value++)
            if (!byText.TryGetValue(ByteAlphabet.CharacterOf((byte)value).ToString(), out singles[value]))
                throw new GlmException($"{file}: expected a token for every byte, found none for 0x{value:X2}");
        var vocabulary = new ByteVocabulary(bytes, singles, table, words: null);
        foreach (var (id, text) in names)
            if (bytes[id] is null) vocabulary._names[id] = text;
        return vocabulary;
    }

    /// <summary>The id of a whole word, where whole words count.</summary>
    public bool FindWord(ReadOnlySpan<byte> word, out int id)
    {
        id = -1;
        return _words is not null && _words.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(word, out id);
    }

    /// <summary>The text of a token that is not made of bytes.</summary>
    public string NameOf(int id) => _names.GetValueOrDefault(id) ?? $"<unused_{id}>";

    private static int CheckedId(KeyValuePair<string, int> token, int most, string file) =>
        token.Value >= 0 && token.Value <= most ? token.Value : throw new GlmException($"{file}: \"{token.Key}\": expected an id from 0 to {most}, found {token.Value}");

    private static Dictionary<byte[], int> Index(byte[][] tokens, string file)
    {
        var ids = new Dictionary<byte[], int>(tokens.Length, ByteStrings.Instance);
        for (int id = 0; id < tokens.Length; id++)
        {
            if (tokens[id].Length is 0 or > LongestToken) throw new GlmException($"{file}: token {id}: expected 1 to {LongestToken} bytes, found {tokens[id].Length}");
            if (!ids.TryAdd(tokens[id], id)) throw new GlmException($"{file}: token {id}: expected new bytes, found those of token {ids[tokens[id]]}");
        }
        return ids;
    }

    private static int[] SinglesOf(Dictionary<byte[], int> ids, string file)
    {
        var singles = new int[256];
        for (int value = 0; value < 256; value++)
            if (!ids.TryGetValue([(byte)value], out singles[value])) throw new GlmException($"{file}: expected a token for every byte, found none for 0x{value:X2}");
        return singles;
    }

    /// <summary>Compares byte strings by content.</summary>
    private sealed class ByteStrings : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static readonly ByteStrings Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(byte[] bytes) => GetHashCode(bytes.AsSpan());

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<byte> bytes)
        {
            var hash = new HashCode();
            hash.AddBytes(bytes);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
