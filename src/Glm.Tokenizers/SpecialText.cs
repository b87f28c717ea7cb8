using System.Globalization;

namespace Glm.Tokenizers;

/// <summary>The names of special tokens by id, those of a vocabulary included that lie after its ordinary ids.</summary>
internal sealed class SpecialText
{
    private readonly Dictionary<int, string> _names = [];
    private readonly int _ordinary;

    /// <param name="special">The special tokens.</param>
    /// <param name="ordinary">Number of ids that the vocabulary's file defines.</param>
    public SpecialText(SpecialTokens special, int ordinary)
    {
        _ordinary = ordinary;
        foreach (var (name, id) in special.Names) _names.TryAdd(id, name);
        VocabularySize = _names.Keys.Append(ordinary - 1).Max() + 1;
    }

    /// <summary>Every id, special ones included, is below this number.</summary>
    public int VocabularySize { get; }

    /// <summary>The name of a special token, a made-up one for a gap between them, or null for an ordinary id.</summary>
    public string? NameOf(int id) =>
        _names.GetValueOrDefault(id) ?? (id >= _ordinary && id < VocabularySize ? $"<unused_{id.ToString(CultureInfo.InvariantCulture)}>" : null);
}
