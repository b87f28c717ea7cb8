namespace Glm.Tokenizers;

/// <summary>The vocabulary of a GLM: text to ids and back, and the ids of its special tokens. Safe for use from several threads.</summary>
public abstract class Tokenizer
{
    private protected Tokenizer() { }

    /// <summary>Every id is below this number.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The special tokens.</summary>
    public abstract SpecialTokens Special { get; }

    /// <summary>
    /// Reads the vocabulary in a <c>.model</c> file, or in a model's directory (<c>tokenizer.model</c> or <c>ice_text.model</c>),
    /// and recognises which kind it is. <paramref name="ice"/> applies to that of GLM-130B alone.
    /// </summary>
    /// <exception cref="GlmException">There is no such file, or it is of neither kind.</exception>
    public static Tokenizer Load(string path, IceOptions? ice = null)
    {
        string file = FileOf(path);
        SentencePieceModel model = SentencePieceModel.Load(file);
        if (IceTokenizer.Recognises(model)) return new IceTokenizer(model, ice, file);
        if (GlmTokenizer.Recognises(model)) return new GlmTokenizer(model, file);
        throw new GlmException($"{file}: expected the vocabulary of GLM-130B (icetk) or one trained by Glm.NET, found another SentencePiece model with {model.Pieces.Count} pieces");
    }

    /// <summary>The vocabulary's file in a directory, or null.</summary>
    public static string? FindIn(string directory) =>
        new[] { "tokenizer.model", "ice_text.model" }.Select(name => Path.Combine(directory, name)).FirstOrDefault(File.Exists);

    /// <summary>The vocabulary's file: <paramref name="path"/> itself, or the one in that directory.</summary>
    /// <exception cref="GlmException">The directory holds none.</exception>
    public static string FileOf(string path) => !Directory.Exists(path) ? path
        : FindIn(path) ?? throw new GlmException($"{path}: expected tokenizer.model or ice_text.model, found neither");

    /// <summary>Ids of <paramref name="text"/>; names of special tokens in it are ordinary text.</summary>
    public int[] Encode(string text)
    {
        var ids = new List<int>(text.Length / 2);
        Encode(text, ids);
        return [.. ids];
    }

    /// <summary>Appends the ids of <paramref name="text"/> to <paramref name="ids"/>.</summary>
    public abstract void Encode(ReadOnlySpan<char> text, List<int> ids);

    /// <summary>
    /// Ids of a text with blanks: it is cut at <c>[MASK]</c>, <c>[sMASK]</c> and <c>[gMASK]</c>, every segment is encoded on its
    /// own, and the blanks become their tokens (spec 5.2, step 2).
    /// </summary>
    public int[] EncodeWithMasks(string text)
    {
        (string Name, int Id)[] masks = [("[MASK]", Special.Mask), ("[sMASK]", Special.SMask), ("[gMASK]", Special.GMask)];
        var ids = new List<int>();
        ReadOnlySpan<char> rest = text;
        while (!rest.IsEmpty)
        {
            int at = rest.Length, length = 0, mask = 0;
            foreach ((string name, int id) in masks)
                if (rest.IndexOf(name, StringComparison.Ordinal) is >= 0 and int found && found < at)
                    (at, length, mask) = (found, name.Length, id);
            if (at > 0) Encode(rest[..at], ids);
            if (length > 0) ids.Add(mask);
            rest = rest[(at + length)..];
        }
        return [.. ids];
    }

    /// <summary>The text of <paramref name="ids"/>.</summary>
    /// <exception cref="GlmException">An id is not in the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var output = new DecodedText();
        foreach (int id in ids) Decode(id, output);
        output.EndBytes();
        return output.Take();
    }

    /// <summary>The piece with this id as the vocabulary writes it, for display.</summary>
    /// <exception cref="GlmException">The id is not in the vocabulary.</exception>
    public abstract string PieceText(int id);

    internal abstract void Decode(int id, DecodedText output);
}
