namespace Glm.Tokenizers;

/// <summary>The vocabulary of a model: text to ids and back, and the ids of its special tokens. Safe for use from several threads.</summary>
public abstract class Tokenizer
{
    private SpecialNames? _masks, _names;

    private protected Tokenizer() { }

    /// <summary>Whose vocabulary it is.</summary>
    public abstract VocabularyKind Kind { get; }

    /// <summary>Every id is below this number.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The special tokens.</summary>
    public abstract SpecialTokens Special { get; }

    /// <summary>The tokens of blanks.</summary>
    /// <exception cref="GlmException">The vocabulary has none.</exception>
    public BlankTokens Blanks => Special.Blanks ?? throw new GlmException($"tokenizer: expected one with tokens of blanks, found that of {Kind}");

    /// <summary>
    /// Reads the vocabulary in a file, or in a model's directory, and recognises whose it is by its content; where that does not tell (ChatGLM2 and ChatGLM3
    /// have the same file), by the configuration beside it. A file of icetk alone is that of GLM-130B, to which <paramref name="ice"/> applies.
    /// </summary>
    /// <exception cref="GlmException">There is no such file, it is damaged, or it is of no known kind.</exception>
    public static Tokenizer Load(string path, IceOptions? ice = null) => TokenizerLoader.Load(FileOf(path), ice);

    /// <summary>Names of all files that a vocabulary may consist of in a directory.</summary>
    public static IReadOnlyList<string> FileNames => TokenizerLocation.AllFileNames;

    /// <summary>The vocabulary's file in a directory, or null.</summary>
    public static string? FindIn(string directory) => TokenizerLocation.FindIn(directory);

    /// <summary>The vocabulary's file: <paramref name="path"/> itself, or the one in that directory.</summary>
    /// <exception cref="GlmException">The directory holds none.</exception>
    public static string FileOf(string path) => !Directory.Exists(path) ? path
        : FindIn(path) ?? throw new GlmException($"{path}: expected a vocabulary ({TokenizerLocation.Names}), found none");

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
    /// own, and the blanks become their tokens (spec 5.2, step 2). Without blanks in the vocabulary, those of the text.
    /// </summary>
    public int[] EncodeWithMasks(string text) => (_masks ??= new SpecialNames(Special.Blanks is null ? [] : Special.Names.Where(name => IsMask(name.Value)))).Encode(this, text);

    /// <summary>Ids of a text in which the name of any special token is that token. Not for text of people one does not trust.</summary>
    public int[] EncodeWithSpecial(string text) => (_names ??= new SpecialNames(Special.Names)).Encode(this, text);

    /// <summary>Ids of a text as the original tokenizer hands them to a model: with <see cref="SpecialTokens.Before"/> and <see cref="SpecialTokens.After"/>.</summary>
    public int[] EncodeInput(string text) => [.. Special.Before, .. Encode(text), .. Special.After];

    /// <summary>Whether the id is that of a blank.</summary>
    internal bool IsMask(int id) => Special.Blanks is { } blanks && (id == blanks.Mask || id == blanks.SMask || id == blanks.GMask);

    /// <summary>The text of <paramref name="ids"/>.</summary>
    /// <exception cref="GlmException">An id is not in the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        var output = new DecodedText();
        foreach (int id in ids) Decode(id, output);
        output.EndBytes();
        return output.Take();
    }

    /// <summary>The bytes that a token adds to a text which has begun: whole characters in UTF-8, or a part of one; none for tokens that steer the model.</summary>
    /// <exception cref="GlmException">The id is not in the vocabulary.</exception>
    public byte[] TokenBytes(int id)
    {
        var output = new DecodedText(raw: true) { AtStart = false };
        Decode(id, output);
        return output.TakeBytes();
    }

    /// <summary>The piece with this id as the vocabulary writes it, for display.</summary>
    /// <exception cref="GlmException">The id is not in the vocabulary.</exception>
    public abstract string PieceText(int id);

    internal abstract void Decode(int id, DecodedText output);
}
