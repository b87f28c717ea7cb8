namespace Glm.Tokenizers;

/// <summary>Cuts prepared text into pieces. Safe for use from several threads, each with its own scratch memory.</summary>
internal abstract class Segmenter
{
    /// <summary>Appends the ids of <paramref name="text"/>, which is valid UTF-8.</summary>
    public abstract void Segment(ReadOnlySpan<byte> text, EncodingScratch scratch, List<int> ids);
}
