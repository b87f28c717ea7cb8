using Glm.Tensors;

namespace Glm.Formats;

/// <summary>Several files that hold the tensors of one model, each tensor in one of them.</summary>
internal sealed class ShardedStore : TensorStore
{
    private readonly Dictionary<string, TensorStore> _owners = [];
    private readonly List<string> _names = [];

    /// <exception cref="GlmException">Two files have a tensor of the same name.</exception>
    public ShardedStore(string path, IEnumerable<TensorStore> files) : base(path)
    {
        foreach (var file in files)
            foreach (string name in file.Names)
            {
                if (!_owners.TryAdd(name, file)) throw new GlmException($"{file.Path}: {name}: expected each tensor once, found it in {_owners[name].Path}, too");
                _names.Add(name);
            }
    }

    public override IReadOnlyList<string> Names => _names;

    public override TensorInfo? FindInfo(string name) => _owners.GetValueOrDefault(name)?.FindInfo(name);

    public override string FileOf(string name) => _owners.TryGetValue(name, out var owner) ? owner.Path : Path;

    protected override Tensor Read(string name) => _owners[name][name];
}
